"""Memory, descriptors and processes of a long run."""

import os
import time
from itertools import pairwise
from statistics import median

import psutil
import pytest
from loader_benchmark.timing import TimedLoader, soak
from support import runs
from support.packed import pack

from mmmae_st.datasets import VideoDataset

STEPS = 2000
EXTRA = """
train_dataloader.update(num_workers=2, persistent_workers=True)
default_hooks['checkpoint'].update(interval=200)
default_hooks['logger'] = dict(interval=100)
train_cfg = dict(max_epochs={epochs}, val_interval={val_interval})
"""


def watch(pid: int) -> dict[int, dict]:
    """Memory in MiB, descriptors and state of a process and its children."""
    family = {}
    main = psutil.Process(pid)
    for process in [main, *main.children(recursive=True)]:
        try:
            family[process.pid] = dict(
                memory=process.memory_info().rss / 2**20,
                descriptors=process.num_fds(),
                zombie=process.status() == psutil.STATUS_ZOMBIE,
            )
        except psutil.Error:  # it has just ended
            continue
    return family


@pytest.mark.long
def test_two_thousand_steps(tmp_path, videos):
    for i in range(56):  # 64 videos
        os.link(videos / 'train' / f'{i % 8}.mp4', videos / 'train' / f'copy_{i}.mp4')
    per_epoch = 64 // 2
    epochs = -(-STEPS // per_epoch)
    config = runs.write_config(
        tmp_path, videos, EXTRA.format(epochs=epochs, val_interval=epochs // 4)
    )
    run = runs.start(config, tmp_path / 'run')
    [process] = run.processes
    history: list[dict[int, dict]] = []
    done = 0
    while process.is_alive():
        time.sleep(0.5)
        lines = (tmp_path / 'run' / 'samples_0.jsonl').exists() and len(
            (tmp_path / 'run' / 'samples_0.jsonl').read_text().splitlines()
        )
        if lines and lines > done and process.is_alive():
            done = lines
            history.append(watch(process.pid))
    assert run.wait() == [0], run.output()
    assert sum('iter' in line for line in runs.samples(tmp_path / 'run')) >= STEPS

    warm = history[len(history) // 5 :]
    steady = [pid for pid in warm[0] if all(pid in family for family in warm[:-2])]
    assert len(steady) == 3, 'the main process and two workers'
    for pid in steady:
        rows = [family[pid] for family in warm[:-2]]
        quarter = len(rows) // 4
        first, last = (
            sum(row['memory'] for row in part) / quarter
            for part in (rows[:quarter], rows[-quarter:])
        )
        growth = last / first - 1
        # validation and checkpoints open files for a moment
        opened, left = (
            min(row['descriptors'] for row in part) for part in (rows[:quarter], rows[-quarter:])
        )
        print(f'process {pid}: {first:.1f} MiB, {growth:+.2%}, descriptors {opened} to {left}')
        assert growth < 0.03
        assert left <= opened
    zombies = [{pid for pid, row in family.items() if row['zombie']} for family in history]
    assert not any(one & next for one, next in pairwise(zombies)), 'nobody has waited for them'
    assert not any(psutil.pid_exists(pid) for pid in steady)


@pytest.mark.long
def test_two_thousand_videos_out_of_shards(tmp_path, make_clip):
    """One worker; 48 videos in several shards, again and again."""
    (tmp_path / 'videos').mkdir()
    for number in range(48):
        path = tmp_path / 'videos' / f'{number}.mp4'
        make_clip(path, num_frames=60 + number, fps=8, gop=16)
    index = pack(tmp_path / 'videos', tmp_path / 'shards', shard_bytes=200_000)
    assert len(list(index.parent.glob('*.tar'))) > 2
    pipeline = [
        dict(type='LoadClips'),
        dict(type='ClipRandomResizedCrop', size=32),
        dict(type='PackClips'),
    ]
    loader = TimedLoader(VideoDataset(str(index), pipeline=pipeline, test_mode=True), workers=1)
    points = soak(loader, 48, STEPS, 0)
    for point in points:
        print(point)
    warm, last = points[1], points[-1]
    assert last['videos'] == STEPS
    assert last['rss_mib'][0] < 1.01 * warm['rss_mib'][0]
    assert last['descriptors'] == warm['descriptors']


@pytest.mark.long
@pytest.mark.parametrize('load', [dict(), dict(cut_on_device=True)])
def test_two_thousand_prepared_videos(tmp_path, make_clip, load):
    """Two workers; 16 videos of the size that prepared ones have, again and again."""
    for number in range(16):
        width = 340 if number % 2 else 454
        path = tmp_path / f'{number}.mp4'
        make_clip(path, num_frames=75, fps=8, gop=16, width=width, height=256, codec='mpeg4')
    pipeline = [
        dict(type='LoadClips', num_clips=4, **load),
        dict(type='ClipRandomResizedCrop', size=224),
        dict(type='PackClips'),
    ]
    loader = TimedLoader(
        VideoDataset(data_root=str(tmp_path), pipeline=pipeline, test_mode=True), workers=2
    )
    points = soak(loader, 16, STEPS, 0)
    for point in points:
        print(point)
    assert points[-1]['videos'] == STEPS
    # What a worker holds varies with the sample that it has just made.
    warm, end = (
        median(sum(point['rss_mib']) for point in part) for part in (points[1:6], points[-5:])
    )
    assert end < 1.02 * warm
    assert points[-1]['descriptors'] == points[1]['descriptors']
