"""A part of a file, wherever the file is, without fetching the rest."""

import os
from urllib.request import Request, urlopen

from mmengine.fileio import HTTPBackend, LocalBackend, get_file_backend

from mmmae_st.fileio.fsspec_backend import BACKEND as FSSPEC

HTTP_TIMEOUT = 60  # seconds without a byte


def read_range(path: str, offset: int, size: int, backend_args: dict | None = None) -> bytes:
    """Read ``size`` bytes from ``offset`` on; fewer where the file ends before.

    Args:
        path: Local path or the URI of a file backend of mmengine.
        offset: First byte.
        size: Number of bytes.
        backend_args: Arguments of mmengine's ``get_file_backend``.

    Raises:
        OSError: The file cannot be read, or its server sends no parts of files.
        ValueError: The backend reads whole files only.
    """
    backend = get_file_backend(path, backend_args=backend_args, enable_singleton=True)
    if isinstance(backend, LocalBackend):
        descriptor = os.open(path, os.O_RDONLY | getattr(os, 'O_BINARY', 0))
        with open(descriptor, 'rb', buffering=0) as file:
            file.seek(offset)
            return _read_all(file, size)
    if hasattr(backend, 'get_range'):
        return backend.get_range(path, offset, size)
    require_ranges(path, backend_args)
    request = Request(path, headers={'Range': f'bytes={offset}-{offset + size - 1}'})
    with urlopen(request, timeout=HTTP_TIMEOUT) as response:
        if response.status != 206:  # the whole file would come
            raise OSError(f'the server of {path} sends no parts of files')
        return response.read(size)


def _read_all(file, size: int) -> bytes:
    parts = []
    while size > 0 and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b''.join(parts)


def require_ranges(path: str, backend_args: dict | None = None) -> None:
    """Check that parts of a file can be read.

    Raises:
        ValueError: Its backend reads whole files only.
    """
    backend = get_file_backend(path, backend_args=backend_args, enable_singleton=True)
    if not isinstance(backend, (LocalBackend, HTTPBackend)) and not hasattr(backend, 'get_range'):
        raise ValueError(
            f'{type(backend).__name__} reads whole files only, and videos are to be read out of '
            f'{path!r}: copy it to the local disk, or use http(s), '
            f'backend_args=dict(backend={FSSPEC!r}), or a backend with the method '
            'get_range(path, offset, size)'
        )
