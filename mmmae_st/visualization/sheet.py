"""Pictures laid out as a labelled table. Pictures are uint8 RGB (H, W, 3) arrays."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

WHITE, INK, FAINT = (255, 255, 255), (30, 30, 30), (105, 105, 105)
GAP, MARGIN, FONT_SIZE = 3, 8, 14
TILE = 112  # height of a frame: eight of them and a label fit the width of a web page


def sheet(
    rows: Sequence[Sequence[np.ndarray]],
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    title: str = '',
    note: str = '',
    font_size: int = FONT_SIZE,
    breaks: Sequence[int] = (),
) -> np.ndarray:
    """Lay pictures out in rows.

    Args:
        rows: Rows of pictures. Those of a row are equally high, those of a column equally wide;
            rows may differ in length.
        row_labels: A label left of each row. Its first line is set darker than the others.
        column_labels: A label above each column.
        title: Line(s) above everything.
        note: Smaller text below everything; wrapped to the width.
        font_size: Height of the text in pixels.
        breaks: Rows that begin a new group and get more room above.

    Returns:
        The picture.

    Raises:
        ValueError: If there is no picture, labels and rows differ in number, or the pictures do
            not line up.
    """
    if not rows or min(len(row) for row in rows) == 0:
        raise ValueError('rows must hold at least one picture each')
    if row_labels and len(row_labels) != len(rows):
        raise ValueError(f'{len(row_labels)} row_labels were given for {len(rows)} rows')
    heights = [_common([tile.shape[0] for tile in row], 'height', 'row') for row in rows]
    columns = max(len(row) for row in rows)
    widths = [
        _common([row[i].shape[1] for row in rows if i < len(row)], 'width', 'column')
        for i in range(columns)
    ]
    if column_labels and len(column_labels) != columns:
        raise ValueError(f'{len(column_labels)} column_labels were given for {columns} columns')

    small = font(max(font_size - 2, 8))
    line = font_size + 4
    label_width = max((text_width(label, font_size) for label in row_labels), default=0)
    left = MARGIN + (label_width + MARGIN if row_labels else 0)
    width = left + sum(widths) + GAP * (columns - 1) + MARGIN
    width = max(width, 2 * MARGIN + text_width(title, font_size + 2))
    note_lines = wrap(note, width - 2 * MARGIN, font_size - 2)
    top = MARGIN + (len(title.splitlines()) * (line + 4)) + (line if column_labels else 0)
    height = top + sum(heights) + GAP * (len(rows) - 1) + 3 * GAP * len(breaks) + MARGIN
    canvas = Image.new('RGB', (width, height + len(note_lines) * line), WHITE)
    draw = ImageDraw.Draw(canvas)
    for i, text in enumerate(title.splitlines()):
        draw.text((MARGIN, MARGIN + i * (line + 4)), text, INK, font(font_size + 2))
    for i, text in enumerate(column_labels):
        centre = left + sum(widths[:i]) + GAP * i + widths[i] // 2
        draw.text((centre, top - 3), text, INK, font(font_size), anchor='ms')

    for i, row in enumerate(rows):
        top += 3 * GAP * (i in breaks)
        if row_labels:
            _draw_label(draw, row_labels[i], left - MARGIN, top + heights[i] // 2, font_size)
        x = left
        for tile, tile_width in zip(row, widths[: len(row)], strict=True):
            canvas.paste(Image.fromarray(np.ascontiguousarray(tile)), (x, top))
            x += tile_width + GAP
        top += heights[i] + GAP
    for i, text in enumerate(note_lines):
        draw.text((MARGIN, height - MARGIN // 2 + i * line), text, FAINT, small)
    return np.asarray(canvas)


def fit_tile(picture: np.ndarray, height: int) -> np.ndarray:
    """Bring a picture to about ``height`` pixels.

    A small one has its pixels repeated a whole number of times, which may miss the height by a
    third; a large one is averaged down to it.
    """
    if picture.shape[0] <= height:
        factor = round(height / picture.shape[0])
        return picture.repeat(factor, axis=0).repeat(factor, axis=1)
    width = round(picture.shape[1] * height / picture.shape[0])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def pick_frames(num_frames: int, limit: int) -> list[int]:
    """At most ``limit`` frame numbers at equal distances, the first and the last among them.

    Raises:
        ValueError: If ``limit`` is below 1.
    """
    if limit < 1:
        raise ValueError(f'the number of frames to show must be at least 1, got {limit}')
    return np.linspace(0, num_frames - 1, min(num_frames, limit)).round().astype(int).tolist()


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib carries."""
    path = Path(matplotlib.get_data_path(), 'fonts', 'ttf', 'DejaVuSans.ttf')
    return ImageFont.truetype(str(path), size)


def text_width(text: str, size: int) -> int:
    """Pixels that the longest line of a text needs."""
    return max((round(font(size).getlength(line)) for line in text.splitlines()), default=0)


def wrap(text: str, width: int, size: int) -> list[str]:
    """Break a text into lines of at most ``width`` pixels; its own line ends are kept."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        current = ''
        for word in paragraph.split():
            longer = f'{current} {word}'.strip()
            if current and text_width(longer, size) > width:
                lines.append(current)
                longer = word
            current = longer
        lines.append(current)
    return lines


def _draw_label(
    draw: ImageDraw.ImageDraw, label: str, right: int, middle: int, font_size: int
) -> None:
    lines = label.splitlines()
    line = font_size + 4
    top = middle - len(lines) * line // 2
    for i, text in enumerate(lines):
        colour = INK if i == 0 else FAINT
        draw.text((right, top + i * line), text, colour, font(font_size), anchor='ra')


def _common(sizes: Sequence[int], what: str, where: str) -> int:
    if len(set(sizes)) > 1:
        raise ValueError(f'pictures of one {where} must have one {what}, got {sorted(set(sizes))}')
    return sizes[0]
