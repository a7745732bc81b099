import pytest
from support.tiny_checkpoint import write_tiny_checkpoint

import mmmae_st


@pytest.fixture
def info(tool, capsys):
    """What tools/info.py prints."""
    main = tool('info.py').main

    def call(*args):
        main([str(arg) for arg in args])
        return capsys.readouterr().out

    return call


def test_machine(info):
    out = ' '.join(info().split())
    assert f'mmmae_st {mmmae_st.__version__}, python ' in out
    assert 'decoders pyav' in out and 'mae_st_vitb_k400,' in out
    assert 'for mmmae_st train FOLDER: ' in out


def test_checkpoint(info, tmp_path):
    model = write_tiny_checkpoint(tmp_path / 'tiny.pth')
    out = info(tmp_path / 'tiny.pth')
    assert 'a pretraining model (mmmae_st): encoder 32x2, patches of 2x8x8' in out
    number = sum(value.numel() for value in model.parameters())
    assert f'model SpatiotemporalMAE, {number:,} parameters' in out


def test_video_and_config(info, clips):
    out = info(clips['plain'], 'mae_st_vitb_folder_1gpu')
    assert '64 x 48, 40 frames at 30 a second, 1.3 s' in out
    assert 'model SpatiotemporalMAE, 99,898,880 parameters' in out
    assert '32 videos x 4 accumulated a process' in out and 'AdamW, lr 0.0004, 200 epochs' in out


def test_config_without_the_package_it_needs(info, tmp_path):
    (tmp_path / 'mine.py').write_text(
        "default_scope = 'mmmae_st'\nmodel = dict(type='NobodyKnows')\n"
    )
    assert 'which cannot be built here' in info(tmp_path / 'mine.py')


@pytest.mark.parametrize('name', ['none.pth', 'none.mp4', 'vitl_k400', 'none.py'])
def test_what_is_not_there_is_one_line(info, name):
    with pytest.raises(SystemExit, match=name) as stop:
        info(name)
    assert '\n' not in str(stop.value)
