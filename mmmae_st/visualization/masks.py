"""Masks drawn on clips, as in figure 2 of the paper (arXiv 2205.09113).

Dimensions: T frames, H W pixels, t h w the token grid, K kept tokens.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from mmmae_st.visualization.sheet import TILE, fit_tile, pick_frames, sheet

GREY = 115  # the mean colour of the paper, 0.45 of 255


def hide_patches(
    clip_THWC: np.ndarray, ids_keep: ArrayLike, grid: tuple[int, int, int]
) -> np.ndarray:
    """A copy of a clip with the removed patches in grey.

    Args:
        clip_THWC: Clip (T, H, W, 3) uint8.
        ids_keep: Ids (K,) of the visible patches.
        grid: Token grid (t, h, w).

    Raises:
        ValueError: If the clip is not a whole number of patches of this grid.
    """
    t, h, w = grid
    sizes = clip_THWC.shape[:3]
    if any(size % count for size, count in zip(sizes, grid, strict=True)):
        raise ValueError(f'a clip of {sizes} does not divide into a grid of {grid}')
    visible: np.ndarray = np.zeros(t * h * w, bool)
    visible[np.asarray(ids_keep)] = True
    visible = visible.reshape(grid)
    for axis in range(3):
        visible = visible.repeat(sizes[axis] // grid[axis], axis=axis)
    return np.where(visible[..., None], clip_THWC, np.uint8(GREY))


def masks_figure(
    clip_THWC: np.ndarray,
    masks: Mapping[str, ArrayLike],
    grid: tuple[int, int, int],
    max_frames: int = 8,
    tile: int = TILE,
) -> np.ndarray:
    """One row for each mask, one column for each time slice (its first frame).

    Args:
        clip_THWC: Clip (T, H, W, 3) uint8.
        masks: Label of a row to the ids (K,) of the patches that stay visible.
        grid: Token grid (t, h, w).
        max_frames: Columns at most; more slices are shown at equal distances.
        tile: Height of a frame in pixels, see ``fit_tile``.

    Returns:
        uint8 RGB picture (H, W, 3).
    """
    slices = pick_frames(grid[0], max_frames)
    columns = [index * (len(clip_THWC) // grid[0]) for index in slices]
    total = int(np.prod(grid))
    rows, labels = [[fit_tile(clip_THWC[i], tile) for i in columns]], ['input']
    for label, ids_keep in masks.items():
        hidden = hide_patches(clip_THWC, ids_keep, grid)
        rows.append([fit_tile(hidden[i], tile) for i in columns])
        labels.append(f'{label}\n{len(np.asarray(ids_keep))} of {total} patches')
    note = f'Columns: the first frame of time slices {_listed(slices)} of {grid[0]}.'
    return sheet(rows, labels, note=note)


def _listed(slices: list[int]) -> str:
    if slices == list(range(slices[0], slices[-1] + 1)):
        return f'{slices[0] + 1} to {slices[-1] + 1}'
    return ', '.join(str(index + 1) for index in slices)
