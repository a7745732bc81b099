"""A clip and the most probable actions in it."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def action_figure(clip: np.ndarray, best: Sequence[tuple[str, float]]) -> np.ndarray:
    """Frames of a clip, and bars of the probabilities below.

    Args:
        clip: uint8 RGB (T, H, W, 3).
        best: Names of classes and their probabilities, the best first.

    Returns:
        uint8 RGB picture (H, W, 3).
    """
    shown = clip[np.linspace(0, len(clip) - 1, min(len(clip), 8)).round().astype(int)]
    gap = max(shown.shape[2] // 40, 1)
    shown = np.pad(shown, ((0, 0), (0, 0), (0, gap), (0, 0)), constant_values=255)
    figure = Figure(figsize=(12, 1.6 + 0.34 * len(best)), dpi=100, layout='constrained')
    canvas = FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, height_ratios=[1.5, 0.3 * len(best)])
    top.imshow(np.concatenate(shown, axis=1))
    top.axis('off')
    names = [textwrap.shorten(name, 40, placeholder='...') for name, _ in best]
    bars = bottom.barh(range(len(best)), [p for _, p in best], color='tab:blue')
    bottom.bar_label(bars, [f'{p:.1%}' for _, p in best], padding=3)
    bottom.set_yticks(range(len(best)), names)
    bottom.invert_yaxis()
    bottom.set_xlim(0, 1.08)
    bottom.spines[['top', 'right']].set_visible(False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
