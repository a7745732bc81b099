"""From finished measurements to ``results.json``, a Markdown table and a plot per question."""

import json
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import matplotlib
import torch

from mmmae_st.compat.versions import versions_of

from .clips import LABEL_SETS
from .measure import read_row
from .runner import Site
from .study import QUESTIONS, STUDY, Question

matplotlib.use('Agg')
from matplotlib import pyplot as plt

PACKAGES = ('torch', 'timm', 'mmengine', 'mmcv-lite', 'mmcv', 'av', 'numpy', 'scikit-image')
CHANCES = {name: 1 / len(classes) for name, classes in LABEL_SETS.items()}
# Names of the metrics as the tables write them; those with True are shares, in percent.
METRICS = dict(
    accuracy=('top-1, %', True),
    knn=('k-NN, %', True),
    linear=('linear probe, %', True),
    accuracy_appearance=('appearance: top-1, %', True),
    knn_appearance=('appearance: k-NN, %', True),
    linear_appearance=('appearance: linear probe, %', True),
    sparse_ms=('sparse, ms per clip', False),
    dense_ms=('dense, ms per clip', False),
    time_ratio=('dense over sparse: time', False),
    multiply_adds_ratio=('multiply-adds', False),
)


def write_report(site: Site, folder: Path, scale_name: str) -> None:
    """Write ``results.json``, ``results.md`` and ``<question>.png`` from what has been measured.

    A question has a plot when there are two rows to compare.

    Args:
        site: The study.
        folder: Made when absent; older files of these names are replaced.
        scale_name: Name of the scale.
    """
    folder.mkdir(parents=True, exist_ok=True)
    results = collect(site, scale_name)
    (folder / 'results.json').write_text(json.dumps(results, indent=1) + '\n')
    (folder / 'results.md').write_text(markdown(results))
    for question in QUESTIONS:
        path = folder / f'{question.name}.png'
        path.unlink(missing_ok=True)
        rows = [row for row in results['rows'] if row['question'] == question.name]
        is_share = [any(name in row['metrics'] for name, _ in shares()) for row in rows]
        if sum(is_share) > 1:
            # Rows that were not run are shown as such; those of other metrics are not shown.
            shown = [
                row for row, has in zip(rows, is_share, strict=True) if has or not row['seeds']
            ]
            plot(question, shown, path)


def collect(site: Site, scale_name: str) -> dict[str, Any]:
    """Everything that has been measured, as plain data.

    Each row has ``seeds`` (those measured) and ``metrics``, by name ``values`` in the order of
    the seeds, ``mean`` and ``std`` (of the sample; None for one seed); both are empty for rows
    that were not run.
    """
    rows = []
    asked = {q.name for q in QUESTIONS if site.scale.clips.appearances or not q.needs_appearances}
    for entry in (entry for entry in STUDY if entry.question in asked):
        found = {seed: read_row(site, entry, seed) for seed in site.scale.seeds}
        done = {seed: figures for seed, figures in found.items() if figures is not None}
        metrics = {}
        for name in next(iter(done.values())) if done else ():
            values = [figures[name] for figures in done.values()]
            metrics[name] = dict(
                values=values,
                mean=round(statistics.mean(values), 5),
                std=round(statistics.stdev(values), 5) if len(values) > 1 else None,
            )
        rows.append(dict(question=entry.question, row=entry.row, seeds=list(done), metrics=metrics))
    return dict(
        scale=scale_name,
        date=time.strftime('%Y-%m-%d', time.gmtime()),
        machine=machine(),
        versions=versions_of(*PACKAGES),
        chance={name: round(CHANCES[name], 5) for name in site.scale.clips.label_sets},
        test_clips=site.scale.clips.num_test,
        labels_per_class=sorted(site.scale.finetune),
        rows=rows,
    )


def markdown(results: dict[str, Any]) -> str:
    """The results as Markdown: mean and standard deviation over the seeds."""
    versions_text = ', '.join(f'{name} {number}' for name, number in results['versions'].items())
    lines = [
        f'Scale `{results["scale"]}`, {results["date"]}, {results["machine"]}; {versions_text}.',
        f'{results["test_clips"]} test clips, chance '
        + ', '.join(f'{100 * chance:.1f} % ({name})' for name, chance in results['chance'].items())
        + '. Mean ± standard deviation over the seeds.',
    ]
    for question in QUESTIONS:
        rows = [row for row in results['rows'] if row['question'] == question.name]
        measured = {name for row in rows for name in row['metrics']}
        if not rows:
            continue
        names = [name for name in METRICS if name in measured]
        lines += ['', f'**{question.title}.** Expected: {question.claim}.', '']
        if not names:
            lines.append('Not run.')
            continue
        lines.append('| | ' + ' | '.join(METRICS[name][0] for name in names) + ' | seeds |')
        lines.append('|---|' + '---|' * (len(names) + 1))
        for row in rows:
            cells = [cell(row['metrics'].get(name), METRICS[name][1]) for name in names]
            seeds = ', '.join(map(str, row['seeds'])) or 'not run'
            lines.append(f'| {row["row"]} | ' + ' | '.join(cells) + f' | {seeds} |')
    return '\n'.join(lines) + '\n'


def cell(metric: dict[str, Any] | None, is_share: bool) -> str:
    """One figure of a table."""
    if metric is None:
        return ''
    factor, digits = (100, 1) if is_share else (1, 2)
    text = f'{factor * metric["mean"]:.{digits}f}'
    return text if metric['std'] is None else f'{text} ± {factor * metric["std"]:.{digits}f}'


def shares() -> list[tuple[str, str]]:
    """Metrics that plots show, and their names there."""
    return [(name, title) for name, (title, is_share) in METRICS.items() if is_share]


def plot(question: Question, rows: list[dict], path: Path) -> None:
    """Horizontal bars of the means, a dot for each seed, chance as a line; a panel a label set."""
    measured = {name for row in rows for name in row['metrics']}
    names = [(name, title) for name, title in shares() if name in measured]
    panels = {
        labels: [pair for pair in names if (labels == 'appearance') == ('appearance' in pair[0])]
        for labels in LABEL_SETS
    }
    panels = {labels: pairs for labels, pairs in panels.items() if pairs}
    bars = max(len(pairs) for pairs in panels.values())
    figure, grid = plt.subplots(
        1,
        len(panels),
        figsize=(2 + 5 * len(panels), 1.6 + 0.42 * len(rows) * bars**0.5),
        layout='constrained',
        sharey=True,
        squeeze=False,
    )
    for axes, (labels, pairs) in zip(grid[0], panels.items(), strict=True):
        _panel(axes, rows, pairs, CHANCES[labels])
        if len(panels) > 1:
            axes.set_title(labels, fontsize=10)
    figure.suptitle(question.title, fontsize=11, x=0.01, ha='left')
    handles, titles = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, titles, fontsize=8, loc='outside lower center', ncols=4, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _panel(axes: Any, rows: list[dict], names: list[tuple[str, str]], chance: float) -> None:
    height = 0.8 / len(names)
    for k, (name, title) in enumerate(names):
        place = (k - (len(names) - 1) / 2) * height
        for i, row in enumerate(rows):
            if row['seeds'] or not k:  # one word for a row that was not run
                at = i + place if row['seeds'] else i
                _bar(axes, at, row['metrics'].get(name), f'C{k}', 0.9 * height)
        axes.plot([], [], 's', color=f'C{k}', alpha=0.45, markersize=8, label=title)
    axes.axvline(100 * chance, color='0.4', linestyle='--', linewidth=1, label='chance')
    axes.set_yticks(range(len(rows)), [row['row'] for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.margins(x=0.12)
    axes.set_xlim(left=0)
    axes.set_xlabel('top-1 on the test clips, %; bars: means, dots: seeds')
    axes.spines[['top', 'right']].set_visible(False)


def _bar(axes: Any, place: float, metric: dict | None, color: str, height: float) -> None:
    if metric is None:
        axes.annotate(
            'not run',
            (0, place),
            xytext=(6, 0),
            textcoords='offset points',
            va='center',
            fontsize=9,
            color='0.4',
            backgroundcolor='white',
        )
        return
    mean, values = 100 * metric['mean'], [100 * value for value in metric['values']]
    axes.barh([place], [mean], height, color=color, alpha=0.45)
    axes.plot(values, [place] * len(values), 'o', color=color, markersize=4)
    axes.annotate(
        f'{mean:.1f}',
        (max(values), place),
        xytext=(6, 0),
        textcoords='offset points',
        va='center',
        fontsize=9,
    )


def machine() -> str:
    """What the study runs on, in words."""
    import psutil

    memory = psutil.virtual_memory().total / 2**30
    if torch.cuda.is_available():
        return f'one {torch.cuda.get_device_name()}, {psutil.cpu_count()} CPUs'
    return f'{psutil.cpu_count()} CPU cores ({platform.machine()}), {memory:.0f} GiB, no GPU'
