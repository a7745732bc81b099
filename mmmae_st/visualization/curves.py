"""Curves of runs and of schedules, with matplotlib and no display."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from mmmae_st.analysis.logs import RunLog, smooth
from mmmae_st.analysis.schedules import Schedule
from mmmae_st.fileio.atomic_file import written_whole

X_AXES = ('step', 'epoch', 'hours')
TRAIN_PANELS = {
    'loss': 'training loss',
    'lr': 'learning rate',
    'grad_norm': 'gradient norm before clipping',
    'clips_per_second': 'clips per second',
    'data_share': 'share of the time waiting for data',
    'memory': 'GPU memory (MiB)',
}
PLAIN_NUMBERS = FuncFormatter(lambda value, _: f'{value:.3g}')
STYLE: Any = {
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'grid.alpha': 0.3,
    'font.size': 11,
}


def curves_figure(runs: Sequence[RunLog], x: str = 'epoch', window: int | None = None) -> Figure:
    """The scalars of one or several runs, one panel each.

    Args:
        runs: The runs; each keeps its colour in all panels.
        x: ``'step'``, ``'epoch'`` or ``'hours'``.
        window: Logged losses that the bold line averages over, the loss itself is drawn faintly;
            None for a fiftieth of them.

    Raises:
        ValueError: For an unknown ``x``, a window below 1, or epochs of a run that has none.
    """
    if x not in X_AXES:
        raise ValueError(f'x must be one of {X_AXES}, got {x!r}')
    train = [key for key in TRAIN_PANELS if any(len(_series(run, key)[0]) for run in runs)]
    val = list(dict.fromkeys(key for run in runs for key in run.val_keys()))
    figure, axes = panels(len(train) + len(val))
    for axis, key in zip(axes, train, strict=False):
        for i, run in enumerate(runs):
            steps, values = _series(run, key)
            where = _place(run, steps, x)
            if key == 'loss':
                axis.plot(where, values, color=f'C{i}', alpha=0.25, linewidth=1)
                values = smooth(values, window or max(len(values) // 50, 1))
            axis.plot(where, values, color=f'C{i}', label=run.name)
        axis.set_title(TRAIN_PANELS[key], loc='left')
        if key != 'loss':
            axis.set_ylim(bottom=0)
        if key == 'data_share':
            axis.yaxis.set_major_formatter(PercentFormatter(1.0))
        if key == 'lr':
            axis.yaxis.set_major_formatter(PLAIN_NUMBERS)
    for axis, key in zip(axes[len(train) :], val, strict=True):
        for i, run in enumerate(runs):
            steps, values = run.val_series(key)
            if run.val_unit == 'epoch':
                steps = steps * run.steps_per_epoch()
            axis.plot(_place(run, steps, x), values, 'o-', color=f'C{i}', label=run.name)
        axis.set_title(f'{key} (validation)', loc='left')
        axis.set_xlim(axes[0].get_xlim())
    for axis in axes:
        axis.set_xlabel(x)
    if len(runs) > 1:
        axes[0].legend(frameon=False)
    else:
        figure.suptitle(runs[0].name, x=0.01, ha='left')
    return figure


def schedules_figure(schedules: Sequence[Schedule]) -> Figure:
    """Learning rates over the epochs, and the factor of each layer where there is layer decay."""
    decayed = any(schedule.layer_scales for schedule in schedules)
    figure, axes = panels(2 if decayed else 1)
    for i, schedule in enumerate(schedules):
        effective = round(schedule.epochs[-1]) * schedule.views
        label = f'{schedule.name}: at most {max(schedule.learning_rates):.3g}'
        if schedule.views > 1:
            label += f'\n{effective} effective epochs'
        axes[0].plot(schedule.epochs, schedule.learning_rates, color=f'C{i}', label=label)
        if schedule.layer_scales:
            label = f'{schedule.name}: from {schedule.layer_scales[0]:.3g}'
            axes[1].plot(schedule.layer_scales, '.-', color=f'C{i}', label=label)
    axes[0].set_title('learning rate' + (' of the last layer' if decayed else ''), loc='left')
    axes[0].set_xlabel('epoch')
    axes[0].yaxis.set_major_formatter(PLAIN_NUMBERS)
    axes[0].set_ylim(bottom=0)
    if decayed:
        axes[1].set_yscale('log')
        axes[1].set_title('factor of each layer on it', loc='left')
        axes[1].set_xlabel('layer (0: embeddings, last: norm and head)')
    for axis in axes:
        axis.legend(frameon=False, fontsize='small')
    return figure


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure; the suffix chooses the format.

    Raises:
        OSError: If the file cannot be written.
        ValueError: If there is no such format.
    """
    with written_whole(path) as temporary:
        figure.savefig(temporary, dpi=100, format=Path(path).suffix[1:] or 'png')


def panels(count: int) -> tuple[Figure, list[Axes]]:
    """Axes in two columns, all of them used."""
    columns = min(count, 2)
    rows = -(-count // columns)
    with rc_context(STYLE):
        figure = Figure(figsize=(5.0 * columns, 3.2 * rows), layout='constrained')
        axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for axis in axes[count:]:
        axis.remove()
    return figure, axes[:count]


def _series(run: RunLog, key: str) -> tuple[np.ndarray, np.ndarray]:
    if key != 'data_share':
        return run.series(key)
    steps, times = run.series('time')
    waits = run.series('data_time')[1]
    return (steps, waits / times) if len(waits) == len(times) else (steps[:0], times[:0])


def _place(run: RunLog, steps: np.ndarray, x: str) -> np.ndarray:
    if x == 'step':
        return steps
    if x == 'epoch':
        per_epoch = run.steps_per_epoch()
        if per_epoch == 0:
            raise ValueError(
                f'{run.name} was trained by iterations and has no epochs: x must be '
                "'step' or 'hours'"
            )
        return steps / per_epoch
    logged, times = run.series('time')
    hours = np.cumsum(np.diff(logged, prepend=0) * times) / 3600
    return np.interp(steps, logged, hours)
