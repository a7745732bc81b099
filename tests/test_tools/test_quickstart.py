import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

ROOT = Path(__file__).parents[2]


@pytest.fixture
def quickstart(monkeypatch):
    """The module tools/quickstart.py with sets of a few clips."""
    spec = importlib.util.spec_from_file_location('quickstart', ROOT / 'tools' / 'quickstart.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, 'NUM_TRAIN', 6)
    monkeypatch.setattr(module, 'NUM_HELD_OUT', 2)
    return module


@pytest.fixture
def cfg():
    """The smallest config, in its registry scope."""
    with DefaultScope.overwrite_default_scope('mmmae_st'):
        yield Config.fromfile(ROOT / 'configs' / 'smoke.py')


def videos(folder, make_clip, number):
    for i in range(number):
        (folder / f'part {i % 2}').mkdir(exist_ok=True)
        make_clip(folder / f'part {i % 2}' / f'{i:03}.mp4')
    return str(folder)


@pytest.mark.parametrize(('length', 'number'), [(1, 1), (7, 3), (1000, 40)])
def test_spread_is_even_and_within(quickstart, length, number):
    indices = quickstart.spread(length, number)
    assert len(indices) == number and min(indices) >= 0 and max(indices) < length
    assert len(set(indices)) == number
    steps = np.diff([-indices[0] - 1, *indices])
    assert number == 1 or np.ptp(steps[1:]) <= 1


def test_few_videos_are_repeated_and_some_are_held_out(quickstart, cfg, tmp_path, make_clip):
    folder = videos(tmp_path, make_clip, 5)
    quickstart.use_folder(cfg, folder)
    train, val = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
    assert train.data_root == val.data_root == folder
    assert val.indices == [2]
    assert train.indices == [0, 1, 3, 4, 0, 1]


def test_of_many_videos_some_at_equal_distances_are_taken(quickstart, cfg, tmp_path, make_clip):
    quickstart.use_folder(cfg, videos(tmp_path, make_clip, 20))
    train, val = cfg.train_dataloader.dataset.indices, cfg.val_dataloader.dataset.indices
    assert len(val) == 2 and len(train) == 6 and len({*train, *val}) == 8
    assert min(np.diff(train)) >= 2


def test_a_single_video_serves_for_both_and_this_is_said(
    quickstart, cfg, tmp_path, make_clip, capsys
):
    quickstart.use_folder(cfg, videos(tmp_path, make_clip, 1))
    assert cfg.train_dataloader.dataset.indices == [0] * 6
    assert cfg.val_dataloader.dataset.indices == [0]
    assert 'the only one there is' in capsys.readouterr().out


def test_an_unreadable_video_is_not_held_out(quickstart, cfg, tmp_path, make_clip, capsys):
    folder = videos(tmp_path, make_clip, 3)
    (tmp_path / 'part 0' / '002.mp4').write_bytes(b'not a video')
    quickstart.use_folder(cfg, folder)
    assert cfg.val_dataloader.dataset.indices == [0]
    assert '002.mp4' in capsys.readouterr().out


def test_folders_without_a_readable_video_are_refused(quickstart, cfg, tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere'):
        quickstart.use_folder(cfg, str(tmp_path / 'nowhere'))
    with pytest.raises(ValueError, match='holds 0 files'):
        quickstart.use_folder(cfg, str(tmp_path))
    (tmp_path / 'a.mp4').write_bytes(b'text')
    with pytest.raises(ValueError, match='none of the 1 videos can be read'):
        quickstart.use_folder(cfg, str(tmp_path))


def test_all_it_promises_is_there_at_the_end(quickstart, tmp_path, monkeypatch, capsys):
    work_dir, data = tmp_path / 'work', tmp_path / 'data'
    (tmp_path / 'tiny.py').write_text(
        f"""_base_ = {str(ROOT / 'configs' / 'smoke.py')!r}
train_cfg = dict(max_epochs=2, val_interval=2)
"""
    )
    work_dir.mkdir()
    (work_dir / 'summary.json').write_text('of an earlier run')
    arguments = ['--config', tmp_path / 'tiny.py', '--data-root', data, '--work-dir', work_dir]
    monkeypatch.setattr(sys, 'argv', ['quickstart.py', *map(str, arguments)])
    quickstart.main()

    summary = json.loads((work_dir / 'summary.json').read_text())
    assert summary['videos'] == 6 and summary['held_out_videos'] == 2
    assert summary['steps'] == 6 and summary['clips'] == 6 * 2 * 2
    assert summary['seconds'] > 0
    for key in ('first_loss', 'last_loss', 'held_out_loss_before', 'held_out_loss_after'):
        assert 0 < summary[key] < 10
    assert summary['held_out_loss_after'] != summary['held_out_loss_before']
    assert {'torch', 'mmengine', 'av', 'python', 'mmmae_st'} <= set(summary['versions'])
    assert np.asarray(Image.open(work_dir / 'reconstruction.png')).std() > 10
    scalars = [json.loads(line) for line in next(work_dir.rglob('scalars.json')).open()]
    logged = [row['held_out/loss'] for row in scalars if 'held_out/loss' in row]
    assert logged[-1] == pytest.approx(summary['held_out_loss_after'], abs=1e-4)
    checkpoint = Path((work_dir / 'last_checkpoint').read_text().strip())
    assert checkpoint.exists()
    assert list(work_dir.rglob('events.out.tfevents*'))
    out = capsys.readouterr().out
    assert '6 made now' in out and 'RuntimeInfoHook' not in out
    made, todo = out.split('Try next:')
    for path in (checkpoint, work_dir / 'reconstruction.png', work_dir / 'summary.json'):
        assert str(path) in made.split('Made:')[1]
    assert 'tensorboard' in todo and 'mmmae_st quickstart' in todo


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(val_dataloader=None), 'needs val_dataloader with a VideoDataset'),
        (dict(val_evaluator=None), 'needs ReconstructionLoss'),
        (dict(model=dict(type='SpacetimeViT')), 'must be one of pretraining'),
    ],
)
def test_a_config_that_cannot_be_shown_is_refused_at_once(quickstart, cfg, change, message):
    quickstart.require_pretraining(cfg)
    for key, value in change.items():
        cfg[key] = value
    with pytest.raises(ValueError, match=message):
        quickstart.require_pretraining(cfg)


@pytest.mark.slow
def test_a_config_without_variables_and_errors_in_one_line(
    quickstart, cfg, tmp_path, make_clip, monkeypatch
):
    folder = videos(tmp_path, make_clip, 5)
    cfg.pop('train_pipeline')
    cfg.train_dataloader.dataset.ann_file = 'unused.txt'
    cfg.dump(tmp_path / 'own.py')
    options = ['--config', str(tmp_path / 'own.py'), '--work-dir', str(tmp_path / 'out')]
    monkeypatch.setattr(sys, 'argv', ['quickstart.py', folder, *options])
    quickstart.main()
    assert json.loads((tmp_path / 'out' / 'summary.json').read_text())['clips'] == 24
    monkeypatch.setattr(sys, 'argv', ['quickstart.py', str(tmp_path / 'none'), *options])
    with pytest.raises(SystemExit, match="error: data folder .*none/?' is not a folder"):
        quickstart.main()
