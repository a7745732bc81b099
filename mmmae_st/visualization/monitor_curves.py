"""Curves of what FeatureMonitorHook measures."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmmae_st.visualization.curves import panels

PANELS: dict[str, dict[str, str]] = {
    'loss, and that of trivial predictions': dict(
        loss='the model',
        loss_mean='mean of the visible patches',
        loss_nearest='nearest visible patch',
        loss_previous='frame before',
    ),
    'effective rank': dict(rank='RankMe', rank_centred='without the mean feature', lidar='LiDAR'),
    'nearest clip is of the same video': dict(retrieval='share of the clips'),
    'probes of time (chance 0.5)': dict(
        order='order of halves', arrow='arrow of time', speed='speed'
    ),
    'collapse': dict(
        similarity='mean cosine of different videos', wasted='dead or identical directions'
    ),
    'with labels': dict(knn='k-NN', linear='linear probe'),
}


def monitor_figure(
    places: Sequence[float], history: Sequence[Mapping[str, float]], x: str, title: str
) -> Figure:
    """One panel for each group of measures that were taken.

    Args:
        places: Where the measurements stand to the right, epochs for instance.
        history: Measurements, see ``measures_of``.
        x: What runs to the right.
        title: Above all.
    """
    taken = {name for measures in history for name in measures}
    shown = {text: names for text, names in PANELS.items() if taken & set(names)}
    figure, axes = panels(len(shown))
    figure.suptitle(title, x=0.01, ha='left')
    for axis, (text, names) in zip(axes, shown.items(), strict=True):
        for name, label in names.items():
            points = [
                (place, measures[name])
                for place, measures in zip(places, history, strict=True)
                if name in measures
            ]
            if points:
                axis.plot(*zip(*points, strict=True), '.-', label=label)
        axis.set_title(text, loc='left')
        axis.set_xlabel(x)
        axis.set_ylim(0, 1.3 * axis.get_ylim()[1])  # room for the legend
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        if text.startswith('probes'):
            axis.axhline(0.5, color='grey', linestyle=':')
        if len(names) > 1:
            axis.legend(framealpha=0.85, edgecolor='none', fontsize='small')  # may lie on a line
    return figure
