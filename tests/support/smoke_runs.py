"""The smoke config on a few clips, through the command line or in processes that are forked."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support import runs

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / 'configs/smoke.py'


@pytest.fixture(scope='module')
def data_root(tmp_path_factory, make_clip):
    root = tmp_path_factory.mktemp('videos')
    for split, count in (('train', 9), ('val', 3)):
        (root / split).mkdir()
        for i in range(count):
            make_clip(root / split / f'{i}.mp4', num_frames=24 + i)
    return root


def start(*args, data_root, work_dir, config=SMOKE, world_size=1):
    """Start tools/train.py in a folder that is not the checkout, without a Python of its own."""
    return runs.start(
        config,
        work_dir,
        *files(data_root),
        *(a for a in args if '=' in a),
        arguments=[a for a in args if '=' not in a],
        world_size=world_size,
        logs_in=Path(tempfile.mkdtemp(prefix='output_', dir=data_root)),
        cwd=data_root,
    )


def train(*args, world_size=1, **kwargs):
    """Train to the end; give what was said."""
    run = start(*args, world_size=world_size, **kwargs)
    assert run.wait() == [0] * world_size, run.output()
    return run.output()


def call(command, *args, data_root, work_dir, **env):
    """Call a tool on the smoke config as users do, in a folder that is not the checkout."""
    more = [a for a in args if '=' in a]
    rest = [a for a in args if '=' not in a]
    options = ['--work-dir', str(work_dir), '--cfg-options', *files(data_root), *more]
    return subprocess.run(
        [*command, *rest, *options],
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


def call_train(*args, **kwargs):
    return call([sys.executable, str(ROOT / 'tools/train.py'), str(SMOKE)], *args, **kwargs)


def files(data_root):
    return [f'{name}_dataloader.dataset.data_root={data_root}' for name in ('train', 'val')]


def scalars(work_dir):
    """Logged steps of all runs in a work directory, oldest first."""
    logs = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    rows = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    return [row for row in rows if 'loss' in row]
