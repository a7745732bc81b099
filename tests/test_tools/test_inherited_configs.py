"""Tools on a config that inherits by the name of the package, which puts scopes into every part."""

import sys

import pytest

from mmmae_st import command_line


@pytest.fixture
def config(tmp_path, monkeypatch, make_clip):
    """Such a config in a folder of one's own, with a clip; the folder is the current one."""
    monkeypatch.chdir(tmp_path)
    for split in ('train', 'val'):
        (tmp_path / split).mkdir()
        for number in range(2):
            make_clip(tmp_path / split / f'{number}.mp4', num_frames=30)
    (tmp_path / 'mine.py').write_text(f"""
_base_ = 'mmmae_st::smoke.py'
train_dataloader = dict(dataset=dict(data_root='{tmp_path}'))
val_dataloader = dict(dataset=dict(data_root='{tmp_path}'))
""")
    cfg = command_line.load_config('mine.py')
    assert cfg.model._scope_ == cfg.param_scheduler[0]._scope_ == 'mmmae_st'
    return 'mine.py'


@pytest.mark.parametrize(
    ('path', 'args', 'made'),
    [
        ('analysis_tools/print_config.py', '', ''),
        ('analysis_tools/get_flops.py', '', ''),
        ('analysis_tools/plot_schedules.py', '--out lr.png', 'lr.png'),
        ('analysis_tools/benchmark_step.py', '--batch 1 --runs 1 --out t.json', 't.json'),
        ('visualizations/browse_dataset.py', '--num 1', 'samples/*.png'),
        ('visualizations/visualize_masks.py', 'train/0.mp4 --out m.png --config', 'm.png'),
    ],
)
def test_tools_that_look(tool, config, tmp_path, capsys, path, args, made):
    words = args.split()
    words = [*words, config] if '--config' in words else [config, *words]
    tool(path).main(words)
    assert capsys.readouterr().out
    assert not made or list(tmp_path.glob(made))


def test_training(tool, config, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['train.py', config, '--work-dir', 'run'])
    tool('train.py').main()
    assert (tmp_path / 'run' / 'epoch_2.pth').exists()
