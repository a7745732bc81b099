"""The figure of the paper: a clip, what the encoder saw of it, what the decoder made of that.

Dimensions: N clips, C = 3 channels (RGB), T frames, H W pixels.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike

from .sheet import TILE, fit_tile, pick_frames, sheet

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
    """Write a uint8 RGB picture (H, W, 3) as a PNG file.

    Raises:
        OSError: If the file cannot be written.
    """
    encoded, buffer = cv2.imencode('.png', picture[..., ::-1])
    if not encoded:
        raise OSError(f'cannot encode a picture of shape {picture.shape} for {path}')
    Path(path).write_bytes(buffer.tobytes())


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
