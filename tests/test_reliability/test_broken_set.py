"""Training on sets with files that cannot be read."""

import os
import time
from functools import partial
from pathlib import Path

import pytest
from support import runs
from support.odd_files import write_odd_files

SIZE = 300
STEPS = SIZE // 20  # of an epoch
EXTRA = f"""
train_dataloader.update(batch_size=20, sampler=dict(shuffle=False))
train_dataloader['dataset'].update(ann_file='list.txt', data_prefix=dict(video=''))
default_hooks['checkpoint'].update(interval={STEPS})
"""


def delete_at(iteration: int, path: str) -> None:
    """Saboteur: a video disappears while the run goes on."""
    runs.before_iteration(iteration, 0, partial(os.remove, path))


@pytest.fixture(scope='module')
def broken_set(tmp_path_factory, make_clip) -> tuple[Path, list[str]]:
    """300 files, 10 % of them unreadable, and their names; the last one goes during the run."""
    folder = tmp_path_factory.mktemp('broken_set')
    bad, readable = write_odd_files(folder, make_clip)
    (folder / 'a_folder.mp4').mkdir()
    bad.append('a_folder.mp4')
    cut = (folder / 'cut_05.mp4').read_bytes()
    while len(bad) < SIZE // 10 - 1:
        name = f'more_{len(bad)}.mp4'
        (folder / name).write_bytes(cut[: -10 * len(bad)])
        bad.append(name)
    good = [make_clip(folder / f'good_{i}.mp4', num_frames=20 + i) for i in range(5)]
    names = [path.name for path in good] + readable
    for i in range(SIZE - len(names) - len(bad) - 1):
        os.link(good[i % 5], folder / f'copy_{i:03}.mp4')
        names.append(f'copy_{i:03}.mp4')
    order = names.copy()
    for i, name in enumerate(bad):
        order.insert(10 * i, name)
    order.append('zz_deleted.mp4')
    assert len(order) == len(set(order)) == SIZE
    (folder / 'list.txt').write_text('\n'.join(order))
    return folder, bad


def write_config(folder: Path, data: Path, more: str = '') -> Path:
    return runs.write_config(folder, data, EXTRA + more, runs.NO_VALIDATION)


def test_a_tenth_broken(broken_set, tmp_path, make_clip):
    folder, bad = broken_set
    config = write_config(tmp_path, folder)
    outcomes = []
    for workers, epochs in ((2, 2), (0, 1)):
        deleted = make_clip(folder / 'zz_deleted.mp4', num_frames=20)
        work_dir = tmp_path / f'workers_{workers}'
        run = runs.start(
            config,
            work_dir,
            f'train_dataloader.num_workers={workers}',
            f'train_cfg.max_epochs={epochs}',
            saboteur=partial(delete_at, STEPS + 5, str(deleted)),  # in the second epoch
        )
        assert run.wait(300) == [0], run.output()
        steps = [line for line in runs.samples(work_dir) if 'iter' in line]
        assert len(steps) == STEPS * epochs and all(len(step['paths']) == 20 for step in steps)
        outcomes.append(steps)

        lines = (work_dir / 'broken_videos.txt').read_text().splitlines()
        listed = dict(line.split('\t') for line in lines)
        assert len(lines) == len(listed)
        gone = ['zz_deleted.mp4'] if epochs == 2 else []
        expected = {str(folder / name) for name in bad + gone}
        assert set(listed) == expected and all(listed.values())
        log = run.output()
        for path in expected:
            assert log.count(f'Cannot read {path}: {listed[path]}\n') == 1
        assert f'Epoch 1: {len(bad)} samples were replaced' in log
        if epochs == 2:
            assert f'Epoch 2: {len(bad) + 1} samples were replaced' in log
    assert outcomes[0][:STEPS] == outcomes[1]


def test_too_many_broken_stops_with_a_clear_error(broken_set, tmp_path):
    folder, bad = broken_set
    names = bad + [f'copy_{i:03}.mp4' for i in range(len(bad))]
    (folder / 'half.txt').write_text('\n'.join(names))
    config = write_config(
        tmp_path, folder, "train_dataloader['dataset'].update(ann_file='half.txt')\n"
    )
    run = runs.start(config, tmp_path / 'run')
    assert run.wait() == [1], run.output()
    assert 'cannot be read, more than max_share=0.25' in run.output()


@pytest.mark.parametrize('workers', [0, 2])
def test_all_broken_is_an_error_within_seconds(broken_set, tmp_path, workers):
    folder, bad = broken_set
    (folder / 'bad.txt').write_text('\n'.join(bad))
    config = write_config(
        tmp_path, folder, "train_dataloader['dataset'].update(ann_file='bad.txt')\n"
    )
    began = time.monotonic()
    run = runs.start(config, tmp_path / 'run', f'train_dataloader.num_workers={workers}')
    assert run.wait(60) == [1], run.output()
    assert time.monotonic() - began < 60
    assert 'videos in a row cannot be read' in run.output()
