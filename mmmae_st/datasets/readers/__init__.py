"""Decoders behind one interface: open, ``num_frames``, ``fps``, ``read(indices)``, close."""

from mmmae_st.datasets.readers.base import (
    BaseReader,
    VideoReadError,
    planes_of_rgb,
    read_errors,
)
from mmmae_st.datasets.readers.decord_reader import DecordReader
from mmmae_st.datasets.readers.frame_folder import FrameFolderReader
from mmmae_st.datasets.readers.memory import MemoryReader
from mmmae_st.datasets.readers.open import BACKENDS, open_video, require_backend
from mmmae_st.datasets.readers.pyav_reader import PyAVReader
from mmmae_st.datasets.readers.timeout import call_with_timeout

__all__ = [
    'BACKENDS',
    'BaseReader',
    'DecordReader',
    'FrameFolderReader',
    'MemoryReader',
    'PyAVReader',
    'VideoReadError',
    'call_with_timeout',
    'open_video',
    'planes_of_rgb',
    'read_errors',
    'require_backend',
]
