"""A clip and the most probable actions in it."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

WIDTH = 12.0  # inches, of 100 pixels


def action_figure(clip: np.ndarray, best: Sequence[tuple[str, float]]) -> np.ndarray:
    """Frames of a clip, and below bars of the probabilities; the grey ones are 100 %.

    Args:
        clip: uint8 RGB (T, H, W, 3).
        best: Names of classes and their probabilities, the best first.

    Returns:
        uint8 RGB picture (H, W, 3).
    """
    shown = clip[np.linspace(0, len(clip) - 1, min(len(clip), 8)).round().astype(int)]
    gap = max(shown.shape[2] // 40, 1)
    shown = np.pad(shown, ((0, 0), (0, 0), (0, gap), (0, 0)), constant_values=255)
    strip = np.concatenate(shown, axis=1)[:, :-gap]
    heights = [WIDTH * strip.shape[0] / strip.shape[1] + 0.09, 0.2 + 0.34 * len(best)]
    figure = Figure(figsize=(WIDTH, sum(heights)), dpi=100, layout='constrained')
    canvas = FigureCanvasAgg(figure)
    # In a figure of its own the strip is as wide as the picture, however long the names are.
    parts = figure.subfigures(2, squeeze=False, height_ratios=heights)
    top, bottom = (part.subplots() for part in parts.ravel())
    top.imshow(strip)
    top.axis('off')
    names = [textwrap.shorten(name, 40, placeholder='...') for name, _ in best]
    bottom.barh(range(len(best)), 1, color='0.93')
    bars = bottom.barh(range(len(best)), [p for _, p in best], color='tab:blue')
    bottom.bar_label(bars, [f'{p:.1%}' for _, p in best], padding=3)
    bottom.set_yticks(range(len(best)), names)
    bottom.tick_params(left=False, bottom=False, labelbottom=False)
    bottom.invert_yaxis()
    bottom.set_xlim(0, 1.07)
    bottom.spines[:].set_visible(False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
