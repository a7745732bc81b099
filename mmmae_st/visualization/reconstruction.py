"""The figure of the paper: a clip, what the encoder saw of it, what the decoder made of that.

Dimensions: N clips, C = 3 channels (RGB), T frames, H W pixels.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike

NORMALIZED_NOTE = (
    'Target: normalised patches. Each predicted patch is shown with the mean and deviation of the '
    'true patch: colour and contrast come from the input, structure from the model.'
)

ROWS = ('input', 'masked', 'prediction')
LABEL_WIDTH = 92
GAP = 3
FONT, FONT_SCALE, LINE_HEIGHT = cv2.FONT_HERSHEY_SIMPLEX, 0.42, 18


def reconstruction_figure(
    input: ArrayLike,
    masked: ArrayLike,
    prediction: ArrayLike,
    note: str = '',
    max_frames: int = 8,
    min_tile: int = 112,
) -> np.ndarray:
    """Draw input, masked input and prediction as rows, frames as columns.

    Args:
        input: One clip (C, T, H, W) or several (N, C, T, H, W), RGB in [0, 1] (clipped to it);
            arrays or CPU tensors.
        masked: The same without the removed patches.
        prediction: The reconstruction.
        note: Line(s) below the picture, for instance ``NORMALIZED_NOTE``.
        max_frames: Columns at most; longer clips show frames at equal distances.
        min_tile: Small frames are enlarged by a whole factor to at least so many pixels high.

    Returns:
        uint8 RGB picture (height, width, 3).

    Raises:
        ValueError: If the three differ in shape, are not RGB clips, or a size is below 1.
    """
    if max_frames < 1 or min_tile < 1:
        raise ValueError(
            f'max_frames and min_tile must be at least 1, got {max_frames} and {min_tile}'
        )
    clips = zip((input, masked, prediction), ROWS, strict=True)
    rows = [_clips(clip, name) for clip, name in clips]
    shapes = [row.shape for row in rows]
    if len(set(shapes)) > 1:
        raise ValueError(f'input, masked and prediction must have one shape, got {shapes}')
    num_clips, num_frames, height, width = shapes[0][:4]
    columns = np.linspace(0, num_frames - 1, min(num_frames, max_frames)).round().astype(int)
    factor = -(-min_tile // height)
    height, width = height * factor, width * factor

    canvas_width = LABEL_WIDTH + len(columns) * (width + GAP)
    lines = _wrap(note, canvas_width - 2 * GAP)
    block = len(ROWS) * (height + GAP)
    canvas_height = num_clips * block + (num_clips - 1) * 2 * GAP + len(lines) * LINE_HEIGHT
    canvas = np.full((canvas_height, canvas_width, 3), 255, np.uint8)
    for clip in range(num_clips):
        for row, name in enumerate(ROWS):
            top = clip * (block + 2 * GAP) + row * (height + GAP)
            _text(canvas, name, GAP, top + height // 2)
            for column, frame in enumerate(columns):
                left = LABEL_WIDTH + column * (width + GAP)
                tile = rows[row][clip, frame].repeat(factor, 0).repeat(factor, 1)
                canvas[top : top + height, left : left + width] = tile
    for index, line in enumerate(lines):
        baseline = canvas_height - (len(lines) - 1 - index) * LINE_HEIGHT - LINE_HEIGHT // 3
        _text(canvas, line, GAP, baseline)
    return canvas


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


def _wrap(text: str, width: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        longer = f'{lines[-1]} {word}' if lines else word
        if lines and cv2.getTextSize(longer, FONT, FONT_SCALE, 1)[0][0] <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _text(canvas: np.ndarray, text: str, left: int, baseline: int) -> None:
    cv2.putText(canvas, text, (left, baseline), FONT, FONT_SCALE, (0, 0, 0), 1, cv2.LINE_AA)
