"""Do measures without labels tell which encoder is better? They are compared with what labels say.

Takes every pretraining of a study, with its checkpoints on the way, measures each as
FeatureMonitorHook does on the clips for validation, and relates that to the accuracies that the
study has measured (run.py):

    python -m projects.motion_benchmark.monitors --scale tokens
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from mmmae_st.evaluation.held_out import pick, read_clips
from mmmae_st.evaluation.monitor_reading import LOWER_IS_BETTER
from mmmae_st.evaluation.monitoring import measures_of, outputs_of
from mmmae_st.fileio.atomic_file import write_whole
from mmmae_st.models.weights import load_pretrained
from mmmae_st.registry import DATASETS, MODELS
from mmmae_st.visualization.curves import panels, save_figure

from .pretraining import Pretraining, autoencoder_config, pretraining_config
from .recording import SNAPSHOTS, snapshot_file
from .runner import Site
from .scales import SCALES

NUM_VIDEOS, NUM_CLIPS = 64, 2
# Losses of different masks are no measure of encoders: what is compared is how far they are below
# that of the mean.
MONITORS = (
    'loss_ratio', 'rank', 'rank_centred', 'lidar', 'wasted', 'similarity', 'retrieval', 'order',
    'arrow', 'speed',
)  # fmt: skip
OUTCOMES = dict(
    linear='linear probe, motion',
    linear_appearance='linear probe, appearance',
    accuracy='fine-tuned, motion',
    accuracy_appearance='fine-tuned, appearance',
)
Point = dict[str, Any]
Judge = Callable[[list[Point], str, str], tuple[float, float]]


def measured(site: Site) -> Iterator[Point]:
    """Each checkpoint with its measures and outcomes; measures are kept and not taken again."""
    outcomes = _outcomes(site)
    for record_file in sorted((site.work / 'checkpoints').glob('*.json')):
        record = json.loads(record_file.read_text())
        fields = Pretraining.__dataclass_fields__
        options = Pretraining(**{key: record[key] for key in fields})
        for share in (*SNAPSHOTS, 1.0):
            checkpoint = snapshot_file(record_file.with_suffix('.pth'), share)
            recipe = f'{options.masking} {options.ratio:.1%}'.replace('.0%', '%')
            key = json.dumps([recipe, record['seed'], share])
            measures = _measured_once(site, options, checkpoint)
            yield dict(
                recipe=recipe, seed=record['seed'], at=share, **measures, **outcomes.get(key, {})
            )


def _outcomes(site: Site) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for file in (site.results or site.work / 'results').glob('*.json'):
        result = json.loads(file.read_text())
        what = result['measurement']
        options = what['pretraining']
        is_plain = what['labels'] == 20 and not (what['masking'] or what['still'])
        if options is None or not is_plain or what['kind'] not in ('frozen', 'finetune'):
            continue
        recipe = f'{options["masking"]} {options["ratio"]:.1%}'.replace('.0%', '%')
        key = json.dumps([recipe, result['seed'], what['at']])
        wanted = {name: value for name, value in result['metrics'].items() if name in OUTCOMES}
        found.setdefault(key, {}).update(wanted)
    return found


def _measured_once(site: Site, options: Pretraining, checkpoint: Path) -> dict[str, float]:
    kept = site.work / 'monitors' / f'{checkpoint.stem}.json'
    if kept.exists():
        return json.loads(kept.read_text())
    cfg = pretraining_config(site, options, seed=0)
    dataset_cfg = cfg.train_dataloader.dataset
    dataset_cfg.update(ann_file='val.txt', data_prefix=dict(video='val'))
    dataset_cfg.pipeline[0].frames = str(site.data / 'val.npy')
    dataset = DATASETS.build(dataset_cfg)
    clips = read_clips(dataset, pick(len(dataset), NUM_VIDEOS), NUM_CLIPS)
    model = MODELS.build(autoencoder_config(site.scale, options)).eval()
    load_pretrained(model, checkpoint)
    with torch.no_grad():
        measures = measures_of([outputs_of(model, video, NUM_CLIPS) for video in clips])
    measures['loss_ratio'] = measures['loss'] / measures['loss_mean']
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_whole(kept, json.dumps(measures, indent=1) + '\n')
    return measures


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Correlation of ranks, equal values sharing theirs; NaN where all of one are equal."""

    def ranks(values: Sequence[float]) -> np.ndarray:
        array = np.asarray(values)
        return np.array([(array < v).sum() + ((array == v).sum() - 1) / 2 for v in array])

    with np.errstate(invalid='ignore'):
        return float(np.corrcoef(ranks(one), ranks(other))[0, 1])


def judge(points: list[Point], monitor: str, outcome: str) -> tuple[float, float]:
    """Spearman correlation, and the points in percent lost by choosing with the monitor."""
    sign = -1 if monitor in LOWER_IS_BETTER or monitor == 'loss_ratio' else 1
    values = [sign * point[monitor] for point in points]
    truth = [point[outcome] for point in points]
    return spearman(values, truth), 100 * (max(truth) - truth[int(np.argmax(values))])


def judge_within(points: list[Point], monitor: str, outcome: str) -> tuple[float, float]:
    """The same for the checkpoints of each run; means over the runs, of those that vary."""
    runs = [
        [point for point in points if (point['recipe'], point['seed']) == run]
        for run in dict.fromkeys((point['recipe'], point['seed']) for point in points)
    ]
    found = np.array([judge(run, monitor, outcome) for run in runs])
    correlations = found[:, 0][np.isfinite(found[:, 0])]
    return float(correlations.mean()) if len(correlations) else np.nan, float(found[:, 1].mean())


def rows(points: list[Point]) -> list[str]:
    """A table in Markdown: all points, ends of the runs, and choosing within a run."""
    ends = [point for point in points if point['at'] == 1]
    groups: tuple[tuple[str, list[Point], Judge], ...] = (
        ('all checkpoints', points, judge),
        ('ends of the runs', ends, judge),
        ('within each run', points, judge_within),
    )
    lines = []
    for text, group, judging in groups:
        known = {
            key: part
            for key in OUTCOMES
            if len(part := [point for point in group if key in point]) > 2
        }
        if judging is judge_within:  # only where a run has more than its end
            known = {key: part for key, part in known.items() if any(p['at'] < 1 for p in part)}
        titles = [f'{OUTCOMES[key]}, n = {len(part)}' for key, part in known.items()]
        lines += [f'| {" | ".join([text, *titles])} |', '|---' * (1 + len(known)) + '|']
        for monitor in MONITORS:
            cells = [judging(part, monitor, key) for key, part in known.items()]
            shown = [f'{r:+.2f}, {lost:.1f}' if np.isfinite(r) else '-' for r, lost in cells]
            lines.append(f'| {" | ".join([monitor, *shown])} |')
        lines.append('')
    return lines


def figure(points: list[Point], outcome: str) -> Figure:
    """The outcome against each monitor, a colour for each recipe."""
    points = [point for point in points if outcome in point]
    picture, axes = panels(len(MONITORS))
    for axis, monitor in zip(axes, MONITORS, strict=True):
        for recipe in dict.fromkeys(point['recipe'] for point in points):
            part = [point for point in points if point['recipe'] == recipe]
            x = [point[monitor] for point in part]
            y = [100 * point[outcome] for point in part]
            (line,) = axis.plot(x, y, '-', alpha=0.5)
            sizes = [20 + 60 * point['at'] ** 2 for point in part]
            axis.scatter(x, y, sizes, color=line.get_color(), label=recipe)
        correlation = judge(points, monitor, outcome)[0]
        text = f'{correlation:+.2f}' if np.isfinite(correlation) else 'does not vary'
        axis.set_title(f'{monitor}: {text}', loc='left')
        axis.set_ylabel(f'{OUTCOMES[outcome]}, %')
    axes[0].legend(frameon=False, fontsize='small')
    return picture


def main() -> None:
    """Measure what is there, write points, table and pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--scale', choices=SCALES, default='tokens')
    parser.add_argument('--data', type=Path, help='folder of the clips')
    parser.add_argument('--work', type=Path, help='folder of the study')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/monitors'))
    args = parser.parse_args()
    site = Site(SCALES[args.scale], args.data, args.work)
    points = list(measured(site))
    args.out.mkdir(parents=True, exist_ok=True)
    write_whole(args.out / 'monitors.json', json.dumps(points, indent=1) + '\n')
    for outcome in OUTCOMES:
        if sum(outcome in point for point in points) > 2:
            save_figure(figure(points, outcome), args.out / f'{outcome}.png')
    text = '\n'.join(rows(points))
    write_whole(args.out / 'monitors.md', text)
    print(text)


if __name__ == '__main__':
    main()
