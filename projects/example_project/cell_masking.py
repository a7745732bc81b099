"""One visible token in each cell of the token grid."""

import numpy as np

from mmmae_st.datasets.transforms.masking import BaseMasking
from mmmae_st.registry import TRANSFORMS


@TRANSFORMS.register_module()
class CellMasking(BaseMasking):
    """Keep one random token of each cell; the ratio follows from the size of a cell.

    Args:
        cell: Time slices, rows and columns of a cell.
        patch_size: Pixels along a side of a token.
        tubelet_size: Frames of a token.

    Raises:
        ValueError: If a side of a cell is below 1 or a cell holds one token only; when it draws,
            if the token grid does not divide into cells.
    """

    def __init__(
        self, cell: tuple[int, int, int] = (2, 2, 2), patch_size: int = 16, tubelet_size: int = 2
    ) -> None:
        if len(cell) != 3 or min(cell) < 1 or np.prod(cell) < 2:
            raise ValueError(f'cell must be three sizes >= 1, not all of them 1, got {cell!r}')
        super().__init__(1 - 1 / int(np.prod(cell)), patch_size, tubelet_size)
        self.cell = tuple(cell)

    def draw(self, grid: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
        """The kept tokens of one view: (K,) int64, sorted."""
        if any(size % side for size, side in zip(grid, self.cell, strict=True)):
            raise ValueError(f'a token grid of {grid} does not divide into cells of {self.cell}')
        counts = [size // side for size, side in zip(grid, self.cell, strict=True)]
        corners = np.indices(counts).reshape(3, -1) * np.array(self.cell)[:, None]
        inside = [rng.integers(side, size=corners.shape[1]) for side in self.cell]
        return np.sort(np.ravel_multi_index(tuple(corners + inside), grid))
