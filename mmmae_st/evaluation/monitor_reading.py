"""What measures without labels say, in one line, and when they call for help."""

import math
from collections.abc import Mapping, Sequence

from mmmae_st.evaluation.monitoring import PROBES

COLLAPSED_RANK = 2.0  # effective rank of the centred features
COLLAPSED_SIMILARITY = 0.9999
COLLAPSED_SHARE = 0.5  # of the directions that are dead or identical
LOST = 0.5  # of what the untrained features had of rank and retrieval
PATIENCE = 3  # measurements after the first before a run is called stalled
GAIN = 0.01  # of the loss: what lies within it is no change
STEADY = 0.05  # of the rank
MEASURES = (
    'loss', 'loss_mean', 'loss_nearest', 'loss_previous', 'rank', 'rank_centred', 'lidar',
    'wasted', 'similarity', 'retrieval', 'order', 'arrow', 'speed',
)  # fmt: skip
LOWER_IS_BETTER = ('loss', 'loss_mean', 'loss_nearest', 'loss_previous', 'wasted', 'similarity')

Measures = Mapping[str, float]


def summary_line(history: Sequence[Measures], width: int, num_videos: int) -> str:
    """The last measurement of a run in words.

    Args:
        history: Measurements of the run, oldest first, see ``measures_of``.
        width: D of the features.
        num_videos: How many were measured.
    """
    last = history[-1]
    if 'rank' not in last:
        return f'features: not finite; loss {last["loss"]:.3g}'
    parts = [
        f'rank {last["rank_centred"]:.0f} of {width}{_trend(history)}',
        f'same video nearest {_percent(last["retrieval"])}',
    ]
    names = [name for name in PROBES if name in last]
    told = [f'{PROBES[name]} {_percent(last[name])}' for name in names]
    told[-1] += ' (chance 50)'
    losses = [f'loss {last["loss"]:.3g} against {last["loss_mean"]:.3g} for the mean']
    if 'loss_previous' in last:
        losses.append(f'{last["loss_previous"]:.3g} for copying the frame before')
    parts += [*told, ' and '.join(losses)]
    parts += [f'{name} {_percent(last[name])}' for name in ('knn', 'linear') if name in last]
    return f'features: {"; ".join(parts)}; {num_videos} videos'


def diagnosis(history: Sequence[Measures]) -> tuple[str, str] | None:
    """What is wrong with a run, ``'collapse'`` or ``'stall'``, and why; None if nothing is."""
    for name, look in dict(collapse=collapse, stall=stall).items():
        reason = look(history)
        if reason is not None:
            return name, reason
    return None


def collapse(history: Sequence[Measures]) -> str | None:
    """Why the features have collapsed; None if they have not.

    They are not finite, are alike for all clips, most directions are lost, or, twice in a row,
    they tell videos apart much worse than at the start.
    """
    last, first = history[-1], history[0]
    if 'rank' not in last:
        return 'the features are not finite: the weights are lost'
    if last['wasted'] > COLLAPSED_SHARE and last['wasted'] > first.get('wasted', 0.0):
        signs = f'{last["wasted"]:.0%} of their directions are dead or identical'
    elif last['rank_centred'] < COLLAPSED_RANK:
        signs = f'their effective rank is {last["rank_centred"]:.1f}'
    elif last['similarity'] > COLLAPSED_SIMILARITY:
        signs = f'the mean cosine of different videos is {last["similarity"]:.5f}'
    elif len(history) > 2 and all(_has_lost(first, measures) for measures in history[-2:]):
        signs = (
            f'the nearest clip is of the same video for {last["retrieval"]:.0%}, and was for '
            f'{first["retrieval"]:.0%}; their effective rank fell from {first["rank_centred"]:.0f} '
            f'to {last["rank_centred"]:.0f}'
        )
    else:
        return None
    return (
        f'the features have collapsed: {signs}. Go back to an earlier checkpoint; a lower learning '
        'rate, a longer warm-up or stronger gradient clipping are what helps most often'
    )


def stall(history: Sequence[Measures]) -> str | None:
    """Why the run has stalled; None if it has not.

    The loss is no better than that of a trivial prediction from visible patches, and has not
    fallen over the last measurements.
    """
    if len(history) <= PATIENCE:
        return None
    losses = [measures['loss'] for measures in history]
    last = history[-1]
    trivial = min(last['loss_mean'], last['loss_nearest'])
    before, recent = min(losses[:-PATIENCE]), min(losses[-PATIENCE:])
    if math.isfinite(last['loss']) and (
        recent < (1 - GAIN) * before or last['loss'] < (1 - GAIN) * trivial
    ):
        return None
    return (
        f'the run has stalled: the loss, {last["loss"]:.3g}, is no better than {trivial:.3g} of a '
        f'guess from the visible patches, and has not fallen for {PATIENCE} measurements. Look at '
        'the learning rate (too low, or too high at the end of the warm-up), at the target and '
        'at pictures of the clips (tools/visualizations/browse_dataset.py)'
    )


def _has_lost(first: Measures, last: Measures) -> bool:
    return all(
        name in first and name in last and last[name] < LOST * first[name]
        for name in ('retrieval', 'rank_centred')
    )


def _trend(history: Sequence[Measures]) -> str:
    if len(history) < 2 or 'rank' not in history[-2]:
        return ''
    change = history[-1]['rank_centred'] / history[-2]['rank_centred'] - 1
    if abs(change) <= STEADY:
        return ', steady'
    return ', rising' if change > 0 else ', falling'


def _percent(share: float) -> str:
    return f'{100 * share:.0f} %'
