"""Files that are either whole or not there."""

import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

BACKEND = 'mmmae_st_atomic'


@register_backend(BACKEND)
class AtomicBackend(LocalBackend):
    """mmengine's local file backend with writes that survive a kill or a power cut.

    A file is written under a temporary name in its own folder, synced to the disk and renamed. A
    reader sees the old content or the new one, never a part.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes.

        Args:
            obj: Content.
            filepath: Target; missing folders are made, an existing file is replaced.

        Raises:
            OSError: If the disk is full, the folder read-only or the like. The file that was there
                before is untouched and nothing is left behind.
        """
        target = Path(filepath)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_name(target)
        try:
            with temporary.open('wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text, see ``put``."""
        self.put(obj.encode(encoding), filepath)


def temporary_name(target: Path) -> Path:
    """Name under which ``target`` is written before it is complete."""
    return target.with_name(f'.{target.name}.incomplete')


def complete(target: Path) -> None:
    """Make ``target`` of the file that stands under its temporary name: synced and renamed."""
    temporary = temporary_name(target)
    with temporary.open('rb') as file:
        os.fsync(file.fileno())
    os.replace(temporary, target)
    _sync_folder(target.parent)


def remove_leftovers(folder: str | Path) -> None:
    """Remove what killed writes left in a folder."""
    for path in Path(folder).glob('.*.incomplete'):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
