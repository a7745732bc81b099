"""torchcodec behind the reader interface."""

from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

from mmmae_st.datasets.readers.base import BaseReader, VideoReadError, check_frames, shrink
from mmmae_st.datasets.readers.pyav_reader import PyAVReader


class TorchCodecReader(BaseReader):
    """Reads frames with torchcodec (an optional dependency, which needs FFmpeg's libraries).

    One thread decodes. Frames are numbered by PyAV, as elsewhere; a file in which torchcodec
    counts others is refused.

    Args:
        source: Local path or file object.

    Raises:
        ImportError: torchcodec cannot be loaded.
        VideoReadError: torchcodec cannot read the file rightly.
    """

    def __init__(self, source: str | BinaryIO) -> None:
        decoder = _decoder_class()
        with PyAVReader(source) as reader:
            self.num_frames, self.fps, self.times = reader.num_frames, reader.fps, reader.times
        if not isinstance(source, str):
            source.seek(0)
        self._decoder = decoder(source, dimension_order='NHWC', num_ffmpeg_threads=1)
        if len(self._decoder) != self.num_frames:
            raise VideoReadError(
                f'torchcodec counts {len(self._decoder)} frames where the file shows '
                f'{self.num_frames}'
            )

    def read(self, indices: Sequence[int], short_side: int | None = None) -> dict[int, np.ndarray]:
        """See :class:`BaseReader`."""
        wanted = sorted(set(indices))
        images = self._decoder.get_frames_at(wanted).data.numpy()
        frames = {i: shrink(image, short_side) for i, image in zip(wanted, images, strict=True)}
        return check_frames(frames, indices)

    def close(self) -> None:
        """See :class:`BaseReader`."""
        self._decoder = None


def _decoder_class() -> Any:
    try:
        from torchcodec.decoders import VideoDecoder
    except (RuntimeError, OSError) as error:  # no fault of the video, which would be replaced
        raise ImportError(
            "backend='torchcodec' cannot be loaded: it needs FFmpeg's shared libraries (apt "
            'install ffmpeg) and the version that fits PyTorch'
        ) from error
    return VideoDecoder
