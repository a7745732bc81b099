"""Runs of tools/train.py on videos that are made on the spot."""

import json
import os
import runpy
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from mmmae_st.datasets.synthetic.clips import ClipSettings, make_clips

from .apart import run_apart
from .plan import ROOT, Place

CONFIG = """
_base_ = {base!r}
train_dataloader = dict(
    batch_size={batch},
    num_workers={workers},
    persistent_workers={persistent},
    dataset=dict(
        data_root={videos!r}, ann_file='', data_prefix=dict(_delete_=True, video=''), seed=0
    ),
)
val_dataloader = val_cfg = val_evaluator = None
train_cfg = dict(max_epochs={epochs})
default_hooks = dict(
    logger=dict(interval={log_every}),
    checkpoint=dict(interval={save_every}, by_epoch=False, save_last={save_last}, max_keep_ckpts=2),
)
visualizer = dict(vis_backends=[dict(type='LocalVisBackend')])
env_cfg = dict(dist_cfg=dict(backend={backend!r}))
{extra}
"""


def write_config(
    path: Path,
    base: Path,
    videos: Path,
    place: Place,
    *,
    batch: int = 2,
    workers: int = 0,
    epochs: int = 1,
    log_every: int = 1,
    save_every: int = 1,
    save_last: bool = True,
    extra: str = '',
) -> Path:
    """A config for a run on a folder of videos, without validation."""
    path.write_text(
        CONFIG.format(
            base=str(base),
            videos=str(videos),
            batch=batch,
            workers=workers,
            persistent=workers > 0,
            epochs=epochs,
            log_every=log_every,
            save_every=save_every,
            save_last=save_last,
            backend='gloo' if place.is_tiny else 'nccl',
            extra=extra,
        )
    )
    return path


def small_videos(place: Place, times: int = 1) -> Path:
    """Eight small clips under several names each, made when they are not there."""
    made = place.folder / 'small'
    make_clips(made, 8, ClipSettings(num_frames=24, height=48, width=64), min(place.workers, 8))
    return repeat(made, place.folder / f'small_{times}', times)


def repeat(made: Path, folder: Path, times: int) -> Path:
    """Give each clip several names, so that an epoch is long."""
    folder.mkdir(exist_ok=True)
    for path in sorted(made.rglob('*.mp4')):
        for i in range(times):
            link = folder / f'{path.stem}_{i:03}.mp4'
            if not link.exists():
                os.link(path, link)
    return folder


def train(
    config: Path,
    work_dir: Path,
    seconds: float,
    *arguments: str,
    until: Callable[[], bool] = lambda: False,
    before: Callable[[], None] | None = None,
) -> str:
    """Run tools/train.py apart, see ``run_apart``; ``before`` is called in its process."""
    work_dir.mkdir(parents=True, exist_ok=True)
    argv = ['train.py', str(config), '--work-dir', str(work_dir), *arguments]
    log = work_dir / 'output.txt'
    state = run_apart(partial(_train, argv, before), seconds, log, until)
    if state == 'failed':
        print(log.read_text(errors='replace'))
        raise RuntimeError(f'tools/train.py has failed on {config.name}')
    return state


def dist_train(config: Path, work_dir: Path, *arguments: str) -> None:
    """Run tools/dist_train.sh with one process."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    command = [ROOT / 'tools/dist_train.sh', config, '1', '--work-dir', work_dir, *arguments]
    env = dict(os.environ, PYTHON=sys.executable, PORT=str(port))
    subprocess.run([str(part) for part in command], env=env, check=True)


def scalars(work_dir: Path) -> list[dict]:
    """Logged steps of all runs in a work directory, oldest first."""
    logs = sorted(work_dir.glob('*/vis_data/scalars.json'))
    rows = [json.loads(line) for log in logs for line in _whole_lines(log)]
    return [row for row in rows if 'loss' in row]


def _whole_lines(path: Path) -> Sequence[str]:
    text = path.read_text()
    return text[: text.rfind('\n') + 1].splitlines()


def _train(argv: list[str], before: Callable[[], None] | None) -> None:
    sys.argv = argv
    if before is not None:
        before()
    runpy.run_path(str(ROOT / 'tools/train.py'), run_name='__main__')
