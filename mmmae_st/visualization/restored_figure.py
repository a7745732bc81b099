"""Reconstructions with their errors: as one picture, or moving."""

from collections.abc import Sequence

import matplotlib
import numpy as np

from .restore import Restored
from .sheet import TILE, fit_tile, pick_frames, sheet

VISIBLE = np.array([235, 235, 235], np.uint8)
MOVING_TILE = 192  # four of them side by side
BRIGHTEST = 0.86  # of the colour map: its end is too near the grey of visible patches


def restored_figure(
    results: Sequence[Restored], title: str = '', max_frames: int = 8, tile: int = TILE
) -> np.ndarray:
    """The figure of the paper for one clip and several masks: frames are columns.

    Args:
        results: Of one clip and one model.
        title: Line above the picture.
        max_frames: Columns at most; longer clips show frames at equal distances.
        tile: Height of a frame in pixels, see ``fit_tile``.

    Returns:
        uint8 RGB picture (H, W, 3).

    Raises:
        ValueError: If there is no result or ``max_frames`` is below 1.
    """
    if not results:
        raise ValueError('got 0 results, need at least 1')
    columns = pick_frames(len(results[0].input), max_frames)
    limit = error_limit(results)
    rows, labels, breaks = [_tiles(results[0].input[columns], tile)], ['input'], []
    for result in results:
        breaks.append(len(rows))
        rows += [
            _tiles(result.masked[columns], tile),
            _tiles(result.prediction[columns], tile),
            _tiles(error_clip(result, limit)[columns], tile),
        ]
        labels += [
            f'masked\n{result.label}',
            f'prediction\nPSNR {result.psnr:.1f} dB',
            f'error\nloss {result.loss:.3f}',
        ]
    return sheet(
        rows, labels, title=title, note=f'{results[0].note}\n{_legend(limit)}', breaks=breaks
    )


def restored_frames(
    results: Sequence[Restored], title: str = '', tile: int = MOVING_TILE
) -> list[np.ndarray]:
    """The same moving: one picture for each frame, masks are rows.

    Args:
        results: Of one clip and one model.
        title: Line above the picture.
        tile: Height of a frame in pixels, see ``fit_tile``.

    Returns:
        uint8 RGB pictures (H, W, 3) of one size.

    Raises:
        ValueError: If there is no result.
    """
    if not results:
        raise ValueError('got 0 results, need at least 1')
    limit = error_limit(results)
    rows = [
        [
            _tiles(clip, tile)
            for clip in (
                result.input,
                result.masked,
                result.prediction,
                error_clip(result, limit),
            )
        ]
        for result in results
    ]
    labels = [f'{r.label}\nPSNR {r.psnr:.1f} dB\nloss {r.loss:.3f}' for r in results]
    return [
        sheet(
            [[tiles[frame] for tiles in row] for row in rows],
            labels,
            ('input', 'masked', 'prediction', 'error'),
            title=title,
            note=f'{results[0].note}\n{_legend(limit)}',
        )
        for frame in range(len(results[0].input))
    ]


def error_limit(results: Sequence[Restored]) -> float:
    """Error that is drawn brightest: the 98th percentile over all removed patches."""
    errors = np.concatenate([result.error.ravel() for result in results])
    return float(np.nanpercentile(errors, 98))


def error_clip(result: Restored, limit: float) -> np.ndarray:
    """Heat map of the error, uint8 RGB (T', H, W, 3); visible patches are light grey."""
    frames, height, width = result.input.shape[:3]
    t, h, w = result.error.shape
    share = np.minimum(result.error / limit, 1)
    colours = matplotlib.colormaps['inferno'](BRIGHTEST * share)[..., :3]
    heat = (colours * 255).round().astype(np.uint8)
    heat[np.isnan(result.error)] = VISIBLE
    for axis, factor in enumerate((frames // t, height // h, width // w)):
        heat = heat.repeat(factor, axis=axis)
    return heat


def _legend(limit: float) -> str:
    return (
        'Error: mean squared error of each removed patch in the scale of the target, '
        f'0 (black) to {limit:.2f} (orange); visible patches are grey. Its mean is the loss.'
    )


def _tiles(clip: np.ndarray, tile: int) -> list[np.ndarray]:
    """Frames as uint8 and of the height asked for."""
    if clip.dtype != np.uint8:
        clip = (clip * 255).round().astype(np.uint8)
    return [fit_tile(frame, tile) for frame in clip]
