"""decord behind the reader interface."""

from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from mmmae_st.datasets.readers.base import BaseReader, VideoReadError, check_frames, shrink
from mmmae_st.datasets.readers.container import UPRIGHT, open_container, orientation, video_stream
from mmmae_st.datasets.readers.pyav_reader import PyAVReader


class DecordReader(BaseReader):
    """Reads frames with decord 0.6 (an optional dependency), one thread.

    It decodes from the start of the file, because decord's own seeking gives wrong frames where
    groups of pictures are open, in HEVC and in MPEG-4 with B-frames. Refused are files that decord
    reads wrongly without a word: turned or mirrored ones, and those of which it counts other frames
    than PyAV does, since it ignores edit lists, takes fields for frames or another track for the
    video. MPEG transport streams come out shifted.

    Args:
        source: Local path or file object.

    Raises:
        VideoReadError: decord cannot read the file rightly.
    """

    def __init__(self, source: str | BinaryIO) -> None:
        import decord  # optional, and slow to import

        with open_container(source) as container:
            frame = next(container.decode(video_stream(container)), None)
            if frame is not None and orientation(frame) != UPRIGHT:
                raise VideoReadError('decord cannot read turned or mirrored video')
        _rewind(source)
        with PyAVReader(source) as reader:
            self.num_frames, self.fps, self.times = reader.num_frames, reader.fps, reader.times
        _rewind(source)
        decord.logging.set_level(decord.logging.QUIET)
        self._reader = decord.VideoReader(source, num_threads=1)
        if len(self._reader) != self.num_frames:
            raise VideoReadError(
                f'decord counts {len(self._reader)} frames where the file shows {self.num_frames}'
            )

    def read(self, indices: Sequence[int], short_side: int | None = None) -> dict[int, np.ndarray]:
        """See :class:`BaseReader`."""
        wanted = set(indices)
        frames = {}
        self._reader.seek(0)
        for index in range(max(wanted) + 1):
            frame = self._reader.next()
            if index in wanted:
                frames[index] = shrink(frame.asnumpy(), short_side)
        return check_frames(frames, indices)

    def close(self) -> None:
        """See :class:`BaseReader`."""
        self._reader = None


def _rewind(source: str | BinaryIO) -> None:
    if not isinstance(source, str):
        source.seek(0)
