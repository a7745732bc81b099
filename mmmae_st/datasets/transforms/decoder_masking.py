"""Which of the removed tokens the decoder predicts: ``ids_predict``, (R, M') int64, sorted.

Dimensions: R views, M removed tokens, M' predicted ones, (t, h, w) the token grid.
"""

import numpy as np
from mmcv.transforms import BaseTransform

from mmmae_st.datasets.transforms.masking import Grid, num_keep
from mmmae_st.registry import TRANSFORMS

RATIOS = (0.25, 0.5, 0.75)
# The positions of a 2 x 2 cell, row by row, in the order in which they are visited: clockwise.
_STEP = np.array([[0, 1], [3, 2]])


@TRANSFORMS.register_module()
class DecoderMasking(BaseTransform):
    """Let the decoder predict a part of the removed tokens (VideoMAE V2, arXiv 2303.16727).

    Running cells: every cell of 2 x 2 positions shows the decoder ``4 * (1 - ratio)`` of them, one
    step further around the cell in each time slice, from a start drawn for the view. Of the M
    removed tokens of a view M' = floor(M * (1 - ratio)) are predicted: those in the shown
    positions, more or fewer of them drawn at random so that all views of a batch have as many.

    The decoder then holds fewer mask tokens, which makes a step faster and **changes the
    objective**. Comes after a masking transform; adds ``ids_predict``.

    Args:
        ratio: Part of the removed tokens that is not predicted: 0.25, 0.5 or 0.75.
            Defaults to 0.5.

    Raises:
        ValueError: ``ratio`` is another number; no masking transform came before; too few are
            removed to predict a part of them.
    """

    def __init__(self, ratio: float = 0.5) -> None:
        if ratio not in RATIOS:
            raise ValueError(f'ratio must be one of {RATIOS}, got {ratio!r}')
        self.ratio = ratio

    def transform(self, results: dict) -> dict:
        """Add ``ids_predict``."""
        if 'ids_keep' not in results:
            raise ValueError(
                'DecoderMasking needs ids_keep: put it after a masking transform in the pipeline'
            )
        results['ids_predict'] = np.stack(
            [
                self.draw(ids, results['grid'], rng)
                for ids, rng in zip(results['ids_keep'], results['rngs'], strict=True)
            ]
        )
        return results

    def draw(self, ids_keep: np.ndarray, grid: Grid, rng: np.random.Generator) -> np.ndarray:
        """The predicted tokens of one view, (M',) int64, from its kept ones (K,)."""
        removed = np.ones(np.prod(grid), bool)
        removed[ids_keep] = False
        removed_ids = np.flatnonzero(removed)
        shown = running_cells(grid, self.ratio, int(rng.integers(4))).ravel()[removed_ids]
        order = np.lexsort((rng.random(len(shown)), ~shown))  # the shown ones first
        return np.sort(removed_ids[order[: num_keep(len(removed_ids), self.ratio)]])


def running_cells(grid: Grid, ratio: float, start: int) -> np.ndarray:
    """(t, h, w) bool, True where the decoder is shown a position; ``start`` in 0, 1, 2, 3."""
    i, j, k = np.indices(grid)
    return (_STEP[j % 2, k % 2] - i - start) % 4 < round(4 * (1 - ratio))
