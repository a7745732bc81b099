"""What the tools of this folder share: worker processes, files written whole, names of files."""

import argparse
import glob
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from mmmae_st.command_line import number
from mmmae_st.datasets.annotations import parse_line
from mmmae_st.fileio.atomic_file import require_folder


def partial_path(path: str) -> str:
    """A name beside ``path`` for this process to write to, hidden and with the same extension.

    What interrupted processes have left for this ``path`` is removed.
    """
    require_folder(os.path.dirname(path) or '.')
    folder, name = os.path.split(path)
    stem, extension = os.path.splitext(name)
    os.makedirs(folder or '.', exist_ok=True)
    beginning = os.path.join(folder, f'.{stem}.partial')
    for left in glob.glob(f'{glob.escape(beginning)}*{glob.escape(extension)}'):
        if os.path.isdir(left):
            shutil.rmtree(left)
        else:
            os.remove(left)
    return f'{beginning}{os.getpid()}{extension}'


@contextmanager
def written_whole(path: str) -> Iterator[str]:
    """A temporary name beside ``path`` to write to; it becomes ``path`` when all went well.

    An interruption leaves ``path`` as it was.

    Raises:
        OSError: If ``path`` is a folder, or lies below a file.
    """
    if os.path.isdir(path):
        raise IsADirectoryError(f'{path} is a folder: name a file to write')
    temporary = partial_path(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        if os.path.isdir(temporary):
            shutil.rmtree(temporary)
        elif os.path.exists(temporary):
            os.remove(temporary)


def target_names(paths: Iterable[str], are_folders: bool = False) -> dict[str, str]:
    """The name without extension under which each file is written, sub-folders kept.

    Args:
        paths: Relative paths of files, or of folders, which have no extension.
        are_folders: Whether they are folders.

    Raises:
        ValueError: Two of them would be written to one place, or one into another.
    """
    names = {path: path if are_folders else os.path.splitext(path)[0] for path in paths}
    taken: dict[str, str] = {}
    for path, name in names.items():
        if name in taken:
            raise ValueError(
                f'{taken[name]!r} and {path!r} would be written to one place: rename one of them'
            )
        taken[name] = path
    for path, name in names.items():
        folder = os.path.dirname(name)
        while folder:
            if folder in taken:
                raise ValueError(
                    f'{path!r} would be written into what {taken[folder]!r} becomes: rename one '
                    'of them'
                )
            folder = os.path.dirname(folder)
    return names


def require_apart(source: str, target: str) -> None:
    """Check that neither of two folders lies in the other.

    Raises:
        ValueError: One does.
    """
    ends = os.path.realpath(source), os.path.realpath(target)
    if os.path.commonpath(ends) in ends:
        raise ValueError(f'source {source!r} and target {target!r} must not lie in each other')


def on_one_line(text: str) -> str:
    """Text that is one line and can be written, whatever a file is called."""
    text = text.replace('\r', '\\r').replace('\n', '\\n').replace('\t', '\\t')
    return text.encode('utf-8', 'backslashreplace').decode('utf-8')


def write_lines(path: str, lines: Iterable[str]) -> None:
    """Write a text file whole, one line each."""
    with written_whole(path) as temporary, open(temporary, 'w', encoding='utf-8') as file:
        file.writelines(f'{line}\n' for line in lines)


def report_causes(path: str | None, causes: Iterable[tuple[str, str]]) -> None:
    """Write a file of what failed and why, ``path<TAB>cause`` a line; print it for None."""
    lines = [f'{on_one_line(name)}\t{on_one_line(cause)}' for name, cause in causes]
    if path is None:
        print(*lines, sep='\n', end='\n' * bool(lines))
    else:
        write_lines(path, lines)


def write_failures(folder: str, causes: Sequence[tuple[str, str]], done: int) -> None:
    """Write ``failed.txt`` to a folder, or remove that of a run before when nothing failed.

    Args:
        folder: The folder.
        causes: Path and cause of each.
        done: How many did not fail.

    Raises:
        ValueError: All have failed; names the first.
    """
    path = os.path.join(folder, 'failed.txt')
    if causes:
        report_causes(path, sorted(causes))
        print(f'what failed and why: {path}')
        if not done:
            name, cause = next(iter(causes))
            raise ValueError(f'all {len(causes)} videos failed, the first: {name}: {cause}')
    elif os.path.exists(path):
        os.remove(path)


def list_lines(records: Iterable[dict], separator: str = ' ') -> Iterator[str]:
    """Lines of an annotation list.

    Raises:
        ValueError: A file's name cannot stand in a list: it holds a line break, for instance.
    """
    for record in records:
        path = record['path']
        line = f'{path}{separator}{record["label"]}' if 'label' in record else path
        if '\n' in line or on_one_line(path) != path or parse_line(line, None) != record:
            raise ValueError(f'file name {path!r} cannot stand in a list: rename the file')
        yield line


def require_space(folder: str, needed: float, what: str) -> str:
    """What is needed of the disk, in words.

    Args:
        folder: One on the disk.
        needed: Bytes.
        what: What needs them.

    Raises:
        ValueError: They are not free.
    """
    free = shutil.disk_usage(folder).free
    estimate = f'{what} need about {needed / 1e9:.3g} GB'
    if needed > free:
        raise ValueError(f'{estimate}, and {free / 1e9:.3g} GB are free in {folder!r}')
    return f'{estimate} of {free / 1e9:.3g} GB free'


def add_parallel_arguments(
    parser: argparse.ArgumentParser, timeout: float = 600, what: str = 'a video'
) -> None:
    """Arguments of ``run_parallel`` for a command line."""
    parser.add_argument('--workers', type=number(int, 1), default=os.cpu_count(), help='processes')
    parser.add_argument(
        '--timeout',
        type=number(float, 0, above=True),
        default=timeout,
        help=f'seconds after which {what} is given up ({timeout:g})',
    )
