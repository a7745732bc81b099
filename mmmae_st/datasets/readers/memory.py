"""Frames in memory behind the reader interface."""

from collections.abc import Sequence

import numpy as np

from mmmae_st.datasets.readers.base import BaseReader, shrink


class MemoryReader(BaseReader):
    """Frames of an array, of unknown rate.

    Args:
        frames: (V, H, W, 3) uint8 RGB.
    """

    fps = 0.0

    def __init__(self, frames: np.ndarray) -> None:
        self._frames = frames
        self.num_frames = len(frames)

    def read(self, indices: Sequence[int], short_side: int | None = None) -> dict[int, np.ndarray]:
        """See :class:`BaseReader`."""
        return {index: shrink(self._frames[index], short_side) for index in set(indices)}

    def close(self) -> None:
        """Nothing is open."""
