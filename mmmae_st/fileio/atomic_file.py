"""Files that are either whole or not there: the one way in which files are written here."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

BACKEND = 'mmmae_st_atomic'


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to; it becomes ``path`` when the block ends well.

    The content is synced to the disk before it gets its name, so that it survives a kill or a power
    cut: a reader sees the old content or the new one, never a part. The temporary name has the
    suffix of ``path``.

    Args:
        path: A file, which is replaced, or a folder that does not exist. Missing folders above it
            are made.

    Raises:
        OSError: If the disk is full, the folder read-only or the like. What was there before is
            untouched and nothing is left behind, as with any other error of the block.
    """
    target = Path(path)
    require_folder(target.parent)
    if target.is_dir():
        raise IsADirectoryError(f'{target} is a folder: name a file to write')
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(target)
    if temporary.is_dir():  # of a killed write; a file is written over
        shutil.rmtree(temporary)
    try:
        yield temporary
        complete(target)
    except BaseException:
        _remove(temporary)
        raise


def write_whole(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file, see :func:`written_whole`."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding='utf-8')


def require_writable(path: str | Path) -> None:
    """Find out before the work what would hinder :func:`written_whole` after it.

    Raises:
        OSError: If the file cannot be written.
    """
    with suppress(_TriedError), written_whole(path) as temporary:
        temporary.touch()
        raise _TriedError


class _TriedError(Exception):
    pass


def require_folder(path: str | Path) -> None:
    """Raise NotADirectoryError, naming it, if a folder to write to, or one above it, is a file."""
    for folder in (Path(path), *Path(path).parents):
        if folder.is_dir():
            return
        if folder.exists():
            raise NotADirectoryError(f'cannot write to {path}: {folder} is no folder')


@register_backend(BACKEND)
class AtomicBackend(LocalBackend):
    """mmengine's local file backend with writes that leave whole files or none."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes, see :func:`written_whole`."""
        with written_whole(filepath) as temporary:
            temporary.write_bytes(obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text, see ``put``."""
        self.put(obj.encode(encoding), filepath)


def temporary_name(target: Path) -> Path:
    """Name under which ``target`` is written before it is complete."""
    return target.with_name(f'.{target.stem}.incomplete{target.suffix}')


def complete(target: Path) -> None:
    """Make ``target`` of what stands under its temporary name: synced and renamed."""
    temporary = temporary_name(target)
    _sync(temporary)
    os.replace(temporary, target)
    _sync(target.parent)


def remove_leftovers(folder: str | Path) -> None:
    """Remove what killed writes left in a folder."""
    for path in Path(folder).glob('.*.incomplete*'):
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
