"""Carries out measurements once, however often and in however many processes it is asked."""

import fcntl
import gc
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import MMLogger

from mmmae_st.analysis.step_time import time_in_turn
from mmmae_st.datasets.transforms.masking import draw_random
from mmmae_st.fileio.atomic_file import write_whole
from mmmae_st.registry import MODELS

from . import compute, pretraining
from .finetuning import Finetuning, finetune
from .frozen import measure_frozen
from .pretraining import Pretraining, autoencoder_config
from .recording import snapshot_file
from .runner import Site
from .study import ALL, DEFAULT, Entry, Measurement

# Fields of a scale that change how it is run and not what comes out; of pretraining, too.
ASIDE = ('questions', 'seeds', 'workers', 'threads', 'loaders')
ASIDE_IN_PRETRAINING = (*ASIDE, 'finetune', 'layer_decay', 'probe_lr')
# Raised when the code gives other results than before for the same settings.
VERSION = 1
Job = tuple[Measurement, int]  # with a seed


def result_file(site: Site, job: Job) -> Path:
    """Where the result of a measurement is kept."""
    measurement, seed = job
    digest = _digest(site, ASIDE, dict(asdict(measurement), seed=seed))
    return (site.results or site.work / 'results') / f'{digest}.json'


def checkpoint_file(site: Site, options: Pretraining, seed: int) -> Path:
    """Where the weights of a pretraining are kept."""
    digest = _digest(site, ASIDE_IN_PRETRAINING, dict(asdict(options), seed=seed))
    return site.work / 'checkpoints' / f'{digest}.pth'


def read_result(site: Site, job: Job) -> dict[str, Any] | None:
    """The result of a measurement, None while there is none."""
    path = result_file(site, job)
    return json.loads(path.read_text()) if path.exists() else None


def read_row(site: Site, entry: Entry, seed: int) -> dict[str, float] | None:
    """The figures of a row by name, None while one of its measurements is missing."""
    figures: dict[str, float] = {}
    for measurement in entry.measurements:
        result = read_result(site, (measurement, seed))
        if result is None:
            return None
        figures.update(result['metrics'])
    return figures


def carry_out(
    site: Site,
    rows: Sequence[Sequence[Job]],
    minutes: float = math.inf,
    expected: Callable[[Sequence[Job]], float] | None = None,
) -> None:
    """Do what has not been done of the measurements, in order; other processes may do the same.

    A measurement, and a pretraining, is done by the process that locks its file first; a process
    that dies leaves its locks. What the others are at is passed over and, when nothing else is
    left, waited for.

    Args:
        site: The study.
        rows: What to do, row by row.
        minutes: Begin nothing after so many minutes, and no row that would not end by then.
        expected: Seconds that measurements of a row will take; None for not known.
    """
    waiting = False
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        left = [[job for job in row if read_result(site, job) is None] for row in rows]
        if expected is not None:
            left = [row for row in left if expected(row) <= end - time.monotonic()]
        pending = list(dict.fromkeys(job for row in left for job in row))
        if not pending:
            return
        if not any(_try(site, job) for job in pending):
            if not waiting:
                say(f'waiting for {len(pending)} measurements of others')
            waiting = True
            time.sleep(0.5)


def _try(site: Site, job: Job) -> bool:
    """Do a measurement unless another process is at it or at what it needs."""
    measurement, seed = job
    target = result_file(site, job)
    with _lock(target) as is_mine:
        if not is_mine or target.exists():
            return False
        checkpoint = None
        if measurement.pretraining is not None and measurement.kind != 'time':
            last = checkpoint_file(site, measurement.pretraining, seed)
            with _lock(last) as is_mine:
                if not is_mine:
                    return False
                if not last.exists():
                    pretrain(site, measurement.pretraining, seed, last)
            checkpoint = snapshot_file(last, measurement.at)
        start, cpu = time.perf_counter(), time.process_time()
        metrics = _measure(site, measurement, seed, checkpoint)
        seconds = time.perf_counter() - start
        result = dict(
            measurement=asdict(measurement),
            seed=seed,
            metrics={name: round(value, 5) for name, value in metrics.items()},
            seconds=round(seconds, 1),
            cpu_seconds=round(time.process_time() - cpu, 1),
        )
        write_whole(target, json.dumps(result, indent=1) + '\n')
        name = _describe(measurement, seed)
        say(f'{name}: {result["metrics"]}, {seconds:.0f} s')
    gc.collect()  # ends the loading processes of Runners that are over
    return True


def pretrain(site: Site, options: Pretraining, seed: int, checkpoint: Path) -> None:
    """Pretrain; beside the weights goes a file with the loss and the time."""
    start = time.perf_counter()
    found = pretraining.pretrain(site, options, seed, checkpoint)
    seconds = round(time.perf_counter() - start, 1)
    record = dict(asdict(options), seed=seed, seconds=seconds, **found)
    write_whole(checkpoint.with_suffix('.json'), json.dumps(record, indent=1) + '\n')
    say(f'pretraining, seed {seed}, {asdict(options)}: {found}, {seconds} s')


def _measure(
    site: Site, measurement: Measurement, seed: int, checkpoint: Path | None
) -> dict[str, float]:
    if measurement.kind == 'time':
        assert measurement.pretraining is not None
        return time_of_a_step(site, measurement.pretraining)
    if measurement.kind == 'frozen':
        return measure_frozen(site, seed, checkpoint, 'test')
    labels = site.scale.all_labels if measurement.labels == ALL else measurement.labels
    schedule = site.scale.finetune[labels]
    if measurement.equal_compute:
        epochs = compute.equal_compute_epochs(site, DEFAULT, labels, measurement.label_set)
        schedule = replace(schedule, epochs=epochs)
    options = Finetuning(labels, measurement.label_set, measurement.masking, measurement.still)
    found = finetune(site, options, schedule, seed, checkpoint)
    if measurement.label_set == 'motion':
        return found
    return {f'{name}_{measurement.label_set}': value for name, value in found.items()}


def time_of_a_step(site: Site, options: Pretraining, runs: int = 15) -> dict[str, float]:
    """Forward and backward of pretraining, sparse and dense in turn, on ready clips.

    Returns:
        ``sparse_ms`` and ``dense_ms``, medians for one clip; ``time_ratio``; and
        ``multiply_adds_ratio``.
    """
    scale = site.scale
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    size, batch = scale.img_size, scale.pretrain.batch
    side = size // scale.patch_size
    masks = [
        draw_random((scale.clip_len // 2, side, side), options.ratio, np.random.default_rng(i))
        for i in range(batch)
    ]
    ids = torch.from_numpy(np.stack(masks)).to(device)
    clips = torch.randn(batch, 3, scale.clip_len, size, size, device=device)

    def step(kind: Pretraining) -> Any:
        model = MODELS.build(autoencoder_config(scale, kind)).to(device)
        return lambda: model(clips, ids, mode='loss')['loss'].backward()

    kinds = dict(sparse=options, dense=replace(options, dense=True))
    costs = {name: compute.multiply_adds(site, kind)[0] for name, kind in kinds.items()}
    steps = {name: step(kind) for name, kind in kinds.items()}
    times = time_in_turn(steps, device, runs, warmup=3)
    milliseconds = {name: 1e3 * timing.median / batch for name, timing in times.items()}
    return dict(
        sparse_ms=milliseconds['sparse'],
        dense_ms=milliseconds['dense'],
        time_ratio=milliseconds['dense'] / milliseconds['sparse'],
        multiply_adds_ratio=costs['dense'] / costs['sparse'],
    )


def say(text: str) -> None:
    """Write a line to the study's own log, whichever Runner is at work."""
    MMLogger.get_instance('motion_benchmark').info(text)


def _digest(site: Site, aside: tuple[str, ...], what: dict) -> str:
    scale = {key: value for key, value in asdict(site.scale).items() if key not in aside}
    text = json.dumps([VERSION, scale, what], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Whether this process alone holds the lock of a file; never waits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(f'.{path.name}.lock'), 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _describe(measurement: Measurement, seed: int) -> str:
    changed = {
        key: value
        for key, value in asdict(measurement).items()
        if value != getattr(Measurement(measurement.kind, None), key)
    }
    return f'{measurement.kind}, seed {seed}, {changed}'
