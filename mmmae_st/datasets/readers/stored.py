"""Videos that stand inside a larger file, at a known place and with known contents."""

import io
import os
import zlib
from typing import Any, BinaryIO, NamedTuple

from mmmae_st.datasets.readers.base import VideoReadError
from mmmae_st.fileio.byte_ranges import read_range

# Larger videos are read in pieces, as they are asked for, and not compared with their checksum.
READ_WHOLE = 2**23
PIECE = 2**20


class Contents(NamedTuple):
    """What is in a video.

    Attributes:
        frames: Their number.
        rate: Frames a second, as a reader that has read all packets says.
        key_frames: Numbers of the frames where decoding can begin.
    """

    frames: int
    rate: float
    key_frames: tuple[int, ...]


class StoredVideo(NamedTuple):
    """Where a video stands.

    Attributes:
        file: Local path or URI of what it stands in.
        offset: Its first byte.
        size: Its bytes.
        crc32: Their checksum.
        contents: What is in it.
        by_table: Whether the table of its container numbers the frames rightly, so that a reader
            that knows the contents need not read all packets for that.
    """

    file: str
    offset: int
    size: int
    crc32: int
    contents: Contents
    by_table: bool


def open_stored(stored: StoredVideo, backend_args: dict | None = None) -> BinaryIO:
    """A file object with the bytes of a video.

    Raises:
        VideoReadError: They cannot be read, or are others than they were.
    """
    if stored.size > READ_WHOLE:
        pieces = _Pieces(stored, backend_args)
        return io.BufferedReader(pieces, PIECE)
    data = _read(stored, 0, stored.size, backend_args)
    if zlib.crc32(data) != stored.crc32:
        raise VideoReadError(
            f'{stored.file} was changed: the {stored.size} bytes at {stored.offset} are not those '
            'of the index'
        )
    return io.BytesIO(data)


def _read(stored: StoredVideo, start: int, size: int, backend_args: dict | None) -> bytes:
    try:
        data = read_range(stored.file, stored.offset + start, size, backend_args)
    except Exception as error:  # of any file backend
        cause = getattr(error, 'strerror', None) or error
        raise VideoReadError(f'{stored.file} cannot be read: {cause}') from error
    if len(data) < size:
        raise VideoReadError(
            f'{stored.file} is cut: it ends at byte {stored.offset + start + len(data)}, and a '
            f'video reaches to {stored.offset + stored.size}'
        )
    return data


class _Pieces(io.RawIOBase):
    """Reads parts of a video as they are asked for."""

    def __init__(self, stored: StoredVideo, backend_args: dict | None) -> None:
        self._stored = stored
        self._backend_args = backend_args
        self._position = 0
        self._has_failed = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._stored.size}
        self._position = max(start[whence] + offset, 0)
        return self._position

    def readinto(self, buffer: Any) -> int:
        size = max(min(len(buffer), self._stored.size - self._position), 0)
        if not size or self._has_failed:  # FFmpeg asks again; PyAV would print each error but one
            return 0
        self._has_failed = True
        buffer[:size] = _read(self._stored, self._position, size, self._backend_args)
        self._has_failed = False
        self._position += size
        return size
