"""A file backend of mmengine for every store that fsspec knows, with reads of parts of files."""

from collections.abc import Iterator
from typing import Any

from mmengine.fileio import BaseStorageBackend, register_backend

BACKEND = 'fsspec'


@register_backend(BACKEND)
class FsspecBackend(BaseStorageBackend):
    """Files in a store of fsspec: S3 (``pip install s3fs``), GCS (``gcsfs``), ssh, memory, ...

    ``backend_args=dict(backend='fsspec', options=dict(anon=True))`` with paths such as
    ``'s3://bucket/shards'``. Nothing is kept between calls but what fsspec keeps for a process, so
    that it may be used in the workers of a loader.

    Args:
        options: Arguments of the file system of fsspec.
    """

    def __init__(self, options: dict | None = None) -> None:
        self.options = dict(options or {})

    def _find(self, path: str) -> tuple[Any, str]:
        from fsspec.core import url_to_fs  # slow to import; comes with PyTorch

        return url_to_fs(str(path), **self.options)

    def get(self, filepath: str) -> bytes:
        """The bytes of a file."""
        system, inner = self._find(filepath)
        return system.cat_file(inner)

    def get_text(self, filepath: str, encoding: str = 'utf-8') -> str:
        """The text of a file."""
        return self.get(filepath).decode(encoding)

    def get_range(self, filepath: str, offset: int, size: int) -> bytes:
        """``size`` bytes of a file from ``offset`` on; fewer where it ends before."""
        system, inner = self._find(filepath)
        return system.cat_file(inner, start=offset, end=offset + size)

    def exists(self, filepath: str) -> bool:
        """Whether there is such a file or folder."""
        system, inner = self._find(filepath)
        return system.exists(inner)

    def isfile(self, filepath: str) -> bool:
        """Whether it is a file."""
        system, inner = self._find(filepath)
        return system.isfile(inner)

    def isdir(self, filepath: str) -> bool:
        """Whether it is a folder."""
        system, inner = self._find(filepath)
        return system.isdir(inner)

    def join_path(self, filepath: str, *filepaths: str) -> str:
        """The path of a file in a folder."""
        return '/'.join([filepath.rstrip('/'), *(part.strip('/') for part in filepaths)])

    def list_dir_or_file(
        self,
        dir_path: str,
        list_dir: bool = True,
        list_file: bool = True,
        suffix: str | tuple[str, ...] | None = None,
        recursive: bool = False,
    ) -> Iterator[str]:
        """Paths below a folder, relative to it."""
        system, inner = self._find(dir_path)
        beginning = inner.rstrip('/') + '/'
        depth = None if recursive else 1
        found = system.find(inner, maxdepth=depth, withdirs=list_dir, detail=True)
        for path, info in sorted(found.items()):
            is_file = info['type'] == 'file'
            wanted = list_file if is_file else list_dir
            if wanted and path.startswith(beginning) and path.endswith(suffix or ''):
                yield path.removeprefix(beginning)
