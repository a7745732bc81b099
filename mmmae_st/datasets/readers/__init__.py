"""Decoders behind one interface: open, ``num_frames``, ``fps``, ``read(indices)``, close."""

from .base import BaseReader, VideoReadError, read_errors
from .decord_reader import DecordReader
from .frame_folder import FrameFolderReader
from .open import BACKENDS, open_video
from .pyav_reader import PyAVReader
from .timeout import call_with_timeout

__all__ = [
    'BACKENDS',
    'BaseReader',
    'DecordReader',
    'FrameFolderReader',
    'PyAVReader',
    'VideoReadError',
    'call_with_timeout',
    'open_video',
    'read_errors',
]
