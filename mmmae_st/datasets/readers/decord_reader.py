"""decord behind the reader interface."""

from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from mmmae_st.datasets.readers.base import BaseReader, VideoReadError, check_frames, shrink


class DecordReader(BaseReader):
    """Reads frames with decord 0.6 (an optional dependency), one thread.

    It decodes from the start of the file, because decord's own seeking gives wrong frames where
    groups of pictures are open, in HEVC and in MPEG-4 with B-frames. Files that state a rotation
    are refused and MPEG transport streams come out shifted: decord cannot read either.

    Args:
        source (str | BinaryIO): Local path or file object.
    """

    def __init__(self, source: str | BinaryIO) -> None:
        import decord  # optional, and slow to import

        decord.logging.set_level(decord.logging.QUIET)
        self._reader = decord.VideoReader(source, num_threads=1)
        self.num_frames = len(self._reader)
        self.fps = float(self._reader.get_avg_fps())

    def read(self, indices: Sequence[int], short_side: int | None = None) -> dict[int, np.ndarray]:
        """See :class:`BaseReader`."""
        wanted = set(indices)
        frames = {}
        self._reader.seek(0)
        for index in range(max(wanted) + 1):
            frame = self._reader.next()
            if index in wanted:
                image = frame.asnumpy()
                if image.shape[2] != 3:
                    raise VideoReadError('decord cannot read rotated video')
                frames[index] = shrink(image, short_side)
        return check_frames(frames, indices)

    def close(self) -> None:
        """See :class:`BaseReader`."""
        self._reader = None
