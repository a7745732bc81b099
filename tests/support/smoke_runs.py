"""The smoke config on a few clips, through the command line."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def data_root(tmp_path_factory, make_clip):
    root = tmp_path_factory.mktemp('videos')
    for split, count in (('train', 9), ('val', 3)):
        (root / split).mkdir()
        for i in range(count):
            make_clip(root / split / f'{i}.mp4', num_frames=24 + i)
    return root


def run(command, *args, data_root, work_dir, **env):
    """Run a tool on the smoke config in a folder that is not the checkout."""
    options = [
        f'train_dataloader.dataset.data_root={data_root}',
        f'val_dataloader.dataset.data_root={data_root}',
    ]
    more = [a for a in args if '=' in a]
    rest = [a for a in args if '=' not in a]
    return subprocess.run(
        [*command, *rest, '--work-dir', str(work_dir), '--cfg-options', *options, *more],
        cwd=data_root,
        env={
            **os.environ,
            'PYTHONPATH': str(ROOT),
            'PYTHON': sys.executable,
            'CUDA_VISIBLE_DEVICES': '',
            'OMP_NUM_THREADS': '1',
            **env,
        },
        capture_output=True,
        text=True,
        timeout=300,
    )


def train(*args, **kwargs):
    command = [sys.executable, str(ROOT / 'tools/train.py'), str(ROOT / 'configs/smoke.py')]
    return run(command, *args, **kwargs)


def dist_train(processes, *args, **kwargs):
    command = [
        str(ROOT / 'tools/dist_train.sh'), str(ROOT / 'configs/smoke.py'), str(processes)
    ]  # fmt: skip
    return run(command, *args, **kwargs)


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


def scalars(work_dir):
    """Logged steps of all runs in a work directory, oldest first."""
    logs = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    rows = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    return [row for row in rows if 'loss' in row]
