"""Path to reader: chooses the decoder and fetches what is not on the local disk."""

import importlib.util
import io
import os
from typing import BinaryIO

from mmengine.fileio import LocalBackend, get_file_backend

from mmmae_st.datasets.readers.base import BaseReader, VideoReadError, read_errors
from mmmae_st.datasets.readers.decord_reader import DecordReader
from mmmae_st.datasets.readers.frame_folder import FrameFolderReader
from mmmae_st.datasets.readers.pyav_reader import PyAVReader
from mmmae_st.datasets.readers.stored import StoredVideo, open_stored

BACKENDS = {'pyav': PyAVReader, 'decord': DecordReader}


def require_backend(backend: str) -> None:
    """Check that a decoder is known and installed.

    Raises:
        ValueError: It is not.
    """
    if backend not in BACKENDS:
        raise ValueError(f'backend must be one of {sorted(BACKENDS)}, got {backend!r}')
    if backend != 'pyav' and importlib.util.find_spec(backend) is None:
        raise ValueError(f'the backend {backend} is not installed: pip install {backend}')


def open_video(
    path: str,
    backend: str = 'pyav',
    frame_tmpl: str | None = None,
    backend_args: dict | None = None,
    stored: StoredVideo | None = None,
) -> BaseReader:
    """Open a video file, a video that stands in another file, or a folder of frames.

    Args:
        path: Local path or the URI of a file backend of mmengine. Local files go to the
            decoder by path, others are fetched as bytes.
        backend: One of ``BACKENDS``. Not used for a folder of frames.
        frame_tmpl: File name template of raw frames such as ``'img_{:05}.jpg'``;
            given, ``path`` is a folder of images.
        backend_args: Arguments of mmengine's ``get_file_backend``.
        stored: Where the video stands, in place of ``path``. PyAV takes from it what is in the
            video, so that not all packets have to be read.

    Raises:
        ValueError: ``backend`` is unknown or not installed.
        VideoReadError: The file cannot be read; the message holds the cause in one line.
    """
    require_backend(backend)
    with read_errors():
        if frame_tmpl is not None:
            return FrameFolderReader(path, frame_tmpl, backend_args)
        if stored is None:
            return BACKENDS[backend](_source(path, backend_args))
        source = open_stored(stored, backend_args)
        if backend == 'pyav' and stored.by_table:
            return PyAVReader(source, stored.contents)
        return BACKENDS[backend](source)


def _source(path: str, backend_args: dict | None) -> str | BinaryIO:
    file_backend = get_file_backend(path, backend_args=backend_args, enable_singleton=True)
    if not isinstance(file_backend, LocalBackend):
        return io.BytesIO(file_backend.get(path))
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe would block, a folder confuse
        raise VideoReadError('not a regular file')
    return path
