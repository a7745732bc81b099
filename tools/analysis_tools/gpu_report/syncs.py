"""Counts what makes the host wait for the device in iterations of tools/train.py."""

import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from . import profiles, runs
from .notes import Notes
from .plan import CONFIGS, ROOT, Place

MESSAGE = 'synchronizing CUDA operation'
FIRST, ITERATIONS = 21, 10  # after the first log, before the second
LIMIT = 90.0


class SyncWatch:
    """Notes the callers of operations that PyTorch says make the host wait.

    Attributes:
        causes: How often each was met, by the lines of code that led there, innermost first.
    """

    def __init__(self) -> None:
        self.causes: Counter[str] = Counter()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch a block of code."""
        with warnings.catch_warnings():
            warnings.simplefilter('always')
            warnings.showwarning = self._note
            if torch.cuda.is_available():
                torch.cuda.set_sync_debug_mode('warn')
            try:
                yield
            finally:
                if torch.cuda.is_available():
                    torch.cuda.set_sync_debug_mode('default')

    def _note(self, message: Any, *args: Any, **kwargs: Any) -> None:
        if MESSAGE in str(message):
            self.causes[describe_stack(traceback.extract_stack()[:-1])] += 1


def describe_stack(stack: Any, depth: int = 4) -> str:
    """The innermost lines of a stack that say something, in one line."""
    frames = [
        f'{_short(frame.filename)}:{frame.lineno} {frame.name}'
        for frame in reversed(stack)
        if not frame.filename.endswith(('warnings.py', 'contextlib.py', 'syncs.py'))
    ]
    return ' < '.join(frames[:depth])


def _short(path: str) -> str:
    parts = Path(path).parts
    if path.startswith(str(ROOT)):
        return str(Path(path).relative_to(ROOT))
    return '/'.join(
        parts[parts.index('site-packages') + 1 :] if 'site-packages' in parts else parts[-2:]
    )


def count_syncs(place: Place, notes: Notes) -> None:
    """Train with the loop's iterations watched, and profiled."""
    videos = runs.small_videos(place, times=16)  # 64 iterations
    config = runs.write_config(
        place.folder / 'syncs.py', CONFIGS / 'smoke.py', videos, place,
        workers=min(place.workers, 4), log_every=20, save_every=1000, save_last=False,
        extra="custom_hooks = [dict(type='StepSeedHook'), dict(type='ThroughputHook'), "
        "dict(type='BrokenVideosHook'), dict(type='ExplosionHook'), dict(type='PreemptionHook')]",
    )  # fmt: skip
    runs.train(
        config, place.folder / 'syncs', LIMIT, '--amp', before=partial(watch_iterations, notes)
    )


def watch_iterations(notes: Notes) -> None:
    """Make the training loop of this process note what its iterations wait for."""
    from mmengine.runner import EpochBasedTrainLoop

    step = EpochBasedTrainLoop.run_iter
    watch, profiler = SyncWatch(), torch.profiler.profile()

    def run_iter(loop: Any, index: int, batch: Any) -> None:
        if loop.iter == FIRST:
            profiler.start()
        if FIRST <= loop.iter < FIRST + ITERATIONS:
            with watch.watching():
                step(loop, index, batch)
        else:
            step(loop, index, batch)
        if loop.iter == FIRST + ITERATIONS:
            profiler.stop()
            note_syncs(notes, watch, profiler.events())

    EpochBasedTrainLoop.run_iter = run_iter


def note_syncs(notes: Notes, watch: SyncWatch, events: Any) -> None:
    """Write down what was met in the watched iterations."""
    notes.add('host synchronisations', an_iteration=watch.causes.total() / ITERATIONS, cause='all')
    for cause, number in watch.causes.most_common():
        notes.add('host synchronisations', an_iteration=number / ITERATIONS, cause=cause)
    for row in profiles.host_waits(events, ITERATIONS):
        notes.add('runtime calls in training', **row)
