"""Reading the logs of runs: every scalar by step, and what they come to."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

Series = tuple[np.ndarray, np.ndarray]  # steps (or epochs) and values


@dataclass
class RunLog:
    """The scalars of one run.

    Attributes:
        name: Name of the run.
        train: Rows of training, ascending by step; each has ``step``, and ``epoch`` unless the run
            counted iterations only (``IterBasedTrainLoop``).
        val: Rows of validation, ascending; ``step`` counts what ``val_unit`` says.
        val_unit: ``'epoch'`` or ``'step'``.
    """

    name: str
    train: list[dict[str, float]] = field(default_factory=list)
    val: list[dict[str, float]] = field(default_factory=list)
    val_unit: str = 'epoch'

    def series(self, key: str) -> Series:
        """Steps and values of a scalar of training, empty if it was never logged."""
        rows = [row for row in self.train if key in row]
        return _array(rows, 'step'), _array(rows, key)

    def val_series(self, key: str) -> Series:
        """Epochs (or steps, see ``val_unit``) and values of a scalar of validation."""
        rows = [row for row in self.val if key in row]
        return _array(rows, 'step'), _array(rows, key)

    def val_keys(self) -> list[str]:
        """Names of the metrics of validation."""
        keys = dict.fromkeys(key for row in self.val for key in row)
        return [key for key in keys if key not in ('step', 'time', 'data_time')]

    def steps_per_epoch(self) -> int:
        """Steps of an epoch, found from the logged steps and epochs; 0 if none was logged."""
        rows = (row for row in self.train if 'epoch' in row)
        return max((math.ceil(row['step'] / row['epoch']) for row in rows), default=0)


def read_run(path: str | Path) -> RunLog:
    """Read a work directory, or one file of scalars.

    A run that was resumed has several logs: where a later one begins, the rest of the earlier
    one is dropped, as the run itself did.

    Args:
        path: Work directory of mmengine (``<time>/vis_data/scalars.json`` below it), or such a
            file.

    Raises:
        FileNotFoundError: If there is no log.
        ValueError: If a log holds no scalars of training.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f'{path} does not exist')
    files = [path] if path.is_file() else sorted(path.glob('*/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(
            f'{path} holds no log: expected <time>/vis_data/scalars.json below it, which '
            "vis_backends=[dict(type='LocalVisBackend')] of the visualizer writes"
        )
    run = RunLog(path.parents[2].name if path.is_file() and len(path.parents) > 2 else path.name)
    for file in files:
        train, val = _split(_read_rows(file))
        if train:
            run.train = [row for row in run.train if row['step'] < train[0]['step']] + train
        if val:
            run.val = [row for row in run.val if row['step'] < val[0]['step']] + val
    if not run.train:
        raise ValueError(f'{path} holds no scalars of training')
    last = run.train[-1]
    if run.val and run.val[-1]['step'] > last.get('epoch', 0):
        run.val_unit = 'step'
    return run


def summarise(run: RunLog) -> dict[str, float]:
    """What a run comes to.

    Returns:
        ``steps``, ``epochs`` (where counted), ``hours`` (of logged step time),
        ``seconds_per_step`` (median), ``data_share`` (part of the time spent waiting for data),
        ``loss`` (mean of the last tenth), ``loss_min``, ``grad_norm`` (median), ``memory_mib``
        (highest); of those whose scalars were logged. ``clips_per_second`` is the median; and the
        last value of each metric of validation.
    """
    last = run.train[-1]
    summary: dict[str, float] = dict(steps=last['step'])
    if 'epoch' in last:
        summary['epochs'] = last['epoch']
    steps, times = run.series('time')
    if len(times):
        intervals = np.diff(
            steps, prepend=steps[0] - (steps[1] - steps[0] if len(steps) > 1 else 1)
        )
        summary['hours'] = float((intervals * times).sum() / 3600)
        summary['seconds_per_step'] = float(np.median(times))
        waits = run.series('data_time')[1]
        if len(waits) == len(times):
            summary['data_share'] = float((intervals * waits).sum() / (intervals * times).sum())
    for key, name in (('clips_per_second', 'clips_per_second'), ('grad_norm', 'grad_norm')):
        values = run.series(key)[1]
        if len(values):
            summary[name] = float(np.median(values))
    memory = run.series('memory')[1]
    if len(memory):
        summary['memory_mib'] = float(memory.max())
    losses = run.series('loss')[1]
    if len(losses):
        summary['loss'] = float(losses[-max(len(losses) // 10, 1) :].mean())
        summary['loss_min'] = float(np.nanmin(losses))
    for key in run.val_keys():
        summary[key] = float(run.val_series(key)[1][-1])
    return summary


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Mean over a centred window of so many values, shorter at both ends; 1 leaves them.

    Raises:
        ValueError: If the window is below 1.
    """
    if window < 1:
        raise ValueError(f'the window of smoothing must be at least 1, got {window}')
    half = window // 2
    means = []
    for i in range(len(values)):
        near = values[max(i - half, 0) : i + half + 1]
        near = near[np.isfinite(near)]
        means.append(near.mean() if len(near) else np.nan)
    return np.array(means)


def format_summaries(summaries: dict[str, dict[str, float]]) -> str:
    """Summaries by run as a table, a column for each run."""
    names = list(summaries)
    keys = list(dict.fromkeys(key for summary in summaries.values() for key in summary))
    rows = [['', *names]]
    for key in keys:
        cells = [_number(key, summaries[name].get(key)) for name in names]
        rows.append([key.replace('_', ' '), *cells])
    widths = [max(len(row[i]) for row in rows) for i in range(len(names) + 1)]
    return '\n'.join(
        '  '.join(
            text.rjust(width) if column else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _number(key: str, value: float | None) -> str:
    if value is None:
        return '-'
    if key.endswith('_share'):
        return f'{value:.1%}'
    return str(int(value)) if value == int(value) and abs(value) < 1e9 else f'{value:.4g}'


def _read_rows(file: Path) -> list[dict[str, float]]:
    rows = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError:  # the last line of a run that was killed
            continue
        if not isinstance(row, dict) or 'step' not in row:
            raise ValueError(f'{file}, line {number}: no scalars with a step')
        rows.append({key: value for key, value in row.items() if isinstance(value, int | float)})
    return rows


def _split(rows: Sequence[dict]) -> tuple[list[dict], list[dict]]:
    """Rows of training, which tell their iteration, and the others."""
    return [row for row in rows if 'iter' in row], [row for row in rows if 'iter' not in row]


def _array(rows: Sequence[dict], key: str) -> np.ndarray:
    return np.array([row[key] for row in rows], dtype=np.float64)
