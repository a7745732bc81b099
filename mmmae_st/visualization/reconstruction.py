"""The figure of the paper: a clip, what the encoder saw of it, what the decoder made of that.

Dimensions: N clips, C = 3 channels (RGB), T frames, H W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.typing import ArrayLike

from mmmae_st.fileio.atomic_file import written_whole
from mmmae_st.visualization.sheet import TILE, fit_tile, pick_frames, sheet

NORMALIZED_NOTE = (
    'Target: normalised patches. Each predicted patch is shown with the mean and deviation of the '
    'true patch: colour and contrast come from the input, structure from the model.'
)

ROWS = ('input', 'masked', 'prediction')


def reconstruction_figure(
    input: ArrayLike,
    masked: ArrayLike,
    prediction: ArrayLike,
    note: str = '',
    max_frames: int = 8,
    tile: int = TILE,
) -> np.ndarray:
    """Draw input, masked input and prediction as rows, frames as columns.

    Args:
        input: One clip (C, T, H, W) or several (N, C, T, H, W), RGB in [0, 1] (clipped to it);
            arrays or CPU tensors.
        masked: The same without the removed patches.
        prediction: The reconstruction.
        note: Line(s) below the picture, for instance ``NORMALIZED_NOTE``.
        max_frames: Columns at most; longer clips show frames at equal distances.
        tile: Height of a frame in pixels, see ``fit_tile``.

    Returns:
        uint8 RGB picture (height, width, 3).

    Raises:
        ValueError: If the three differ in shape, are not RGB clips, or ``max_frames`` or ``tile``
            is below 1.
    """
    if max_frames < 1 or tile < 1:
        raise ValueError(f'max_frames and tile must be at least 1, got {max_frames} and {tile}')
    views = [
        _clips(clip, name) for clip, name in zip((input, masked, prediction), ROWS, strict=True)
    ]
    shapes = [view.shape for view in views]
    if len(set(shapes)) > 1:
        raise ValueError(f'input, masked and prediction must have one shape, got {shapes}')
    num_clips, num_frames = shapes[0][:2]
    columns = pick_frames(num_frames, max_frames)
    return sheet(
        [
            [fit_tile(view[clip, frame], tile) for frame in columns]
            for clip in range(num_clips)
            for view in views
        ],
        ROWS * num_clips,
        note=note,
        breaks=range(len(ROWS), num_clips * len(ROWS), len(ROWS)),
    )


def save_png(picture: np.ndarray, path: str | Path) -> None:
    """Write a uint8 RGB picture (H, W, 3) as a PNG file; missing folders are made.

    Raises:
        OSError: If the file cannot be written.
        ValueError: If its name does not end in ``.png``.
    """
    require_png(path)
    encoded, buffer = cv2.imencode('.png', picture[..., ::-1])
    if not encoded:
        raise OSError(f'cannot encode a picture of shape {picture.shape} for {path}')
    with written_whole(path) as temporary:
        temporary.write_bytes(buffer.tobytes())


def require_png(path: str | Path) -> None:
    """Raise ValueError unless a name ends in ``.png``."""
    if Path(path).suffix.lower() != '.png':
        raise ValueError(f'a picture is written as a file that ends in .png, got {str(path)!r}')


def _clips(clips: ArrayLike, name: str) -> np.ndarray:
    """Clips as uint8 (N, T, H, W, C)."""
    array = np.asarray(clips, dtype=np.float32)
    if array.ndim == 4:
        array = array[None]
    if array.ndim != 5 or array.shape[1] != 3 or 0 in array.shape:
        raise ValueError(
            f'{name} must be RGB clips (C, T, H, W) or (N, C, T, H, W) with C = 3, '
            f'got shape {np.shape(clips)}'
        )
    return (array.clip(0, 1) * 255).round().astype(np.uint8).transpose(0, 2, 3, 4, 1)


@dataclass(frozen=True)
class Restored:
    """One clip with one mask; clips are float32 RGB (T', H, W, 3) in [0, 1].

    Attributes:
        label: Kind and ratio of the mask.
        input: The frames that are predicted.
        masked: The same with the removed patches in grey.
        prediction: The reconstruction.
        error: Mean squared error of each removed patch (t, h, w) in the scale of the target,
            NaN where visible. Its mean is the training loss of the clip.
        loss: That mean.
        psnr: Peak signal-to-noise ratio in dB of the prediction as shown, over removed patches.
        note: Where the brightness and contrast of the prediction come from.
    """

    label: str
    input: np.ndarray
    masked: np.ndarray
    prediction: np.ndarray
    error: np.ndarray
    loss: float
    psnr: float
    note: str


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
