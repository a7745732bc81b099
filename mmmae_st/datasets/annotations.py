"""Annotation lists and folder scans: text and file names to records; nothing is decoded here."""

import os
import re
from collections.abc import Sequence

from mmengine.fileio import get_text, isdir, join_path, list_dir_or_file

from mmmae_st.datasets.readers.frame_folder import frame_pattern

VIDEO_EXTENSIONS = (
    *('.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.flv', '.wmv', '.mpg', '.mpeg'),
    *('.ts', '.mts', '.m2ts', '.3gp', '.ogv', '.asf', '.vob', '.f4v', '.divx'),
)
DELIMITERS = (' ', '\t', ',')


def read_list(
    ann_file: str,
    delimiter: str | None = None,
    frame_folders: bool = False,
    backend_args: dict | None = None,
) -> list[dict]:
    """Read an annotation list: one ``path`` or ``path label`` a line.

    Without ``delimiter`` a trailing integer set off by spaces, tabs or a comma is the label and all
    before it is the path, which may hold spaces and commas. A list of frame folders may have the
    frame count between path and label; the count is not used.

    Args:
        ann_file (str): The list, UTF-8.
        delimiter (str | None): Space, tab or comma: the last one of a line parts path and label.
            Give it when paths end in numbers. Defaults to None.
        frame_folders (bool): The paths are folders of frames. Defaults to False.
        backend_args (dict | None): Arguments of mmengine's file backend.

    Returns:
        list[dict]: Records with ``path`` (str) and, when the list has them, ``label`` (int).

    Raises:
        FileNotFoundError: The list does not exist.
        ValueError: The list is empty or not text, or a line is malformed.
    """
    try:
        lines = get_text(ann_file, encoding='utf-8-sig', backend_args=backend_args).split('\n')
    except (FileNotFoundError, IsADirectoryError) as error:
        raise FileNotFoundError(f'ann_file {ann_file!r} is not a file') from error
    except UnicodeDecodeError as error:
        raise ValueError(f'ann_file {ann_file!r} is not UTF-8 text') from error
    if 'youtube_id' in lines[0].split(','):
        raise ValueError(
            f"{ann_file}: {lines[0].strip()!r} are the columns of Kinetics' annotations, which "
            'name no files: make a list with tools/dataset_converters/build_file_list.py kinetics'
        )
    records: list[dict] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = parse_line(line, delimiter, frame_folders)
            if records and record.keys() != records[0].keys():
                raise ValueError('some lines have a label and others have none')
        except ValueError as error:
            raise ValueError(
                f'{ann_file}, line {number}: {error}; expected "path" or "path label" '
                f'with an integer label >= 0, got {line!r}'
            ) from error
        records.append(record)
    if not records:
        raise ValueError(f'ann_file {ann_file!r} names no video')
    return records


def parse_line(line: str, delimiter: str | None, frame_folders: bool = False) -> dict:
    """Split one line into ``path`` and, when there is one, ``label``."""
    line = line.strip()
    if delimiter is None:
        match = re.fullmatch(r'(.*?)(?:[ \t,]+([+-]?\d+))?', line)
        assert match, 'the pattern fits any line'
        path, label = match.groups()
    else:
        path, _, label = line.rpartition(delimiter) if delimiter in line else (line, '', None)
    if frame_folders and label is not None:
        separator = r'[ \t,]+' if delimiter is None else re.escape(delimiter)
        path = re.sub(rf'{separator}\s*\d+\s*$', '', path)
    path = path.strip()
    if not path:
        raise ValueError('no path')
    if delimiter is None and re.search(_EXTENSION_THEN_TEXT, path, re.IGNORECASE):
        raise ValueError('text that is no label follows the file name')
    if label is None:
        return dict(path=path)
    if not re.fullmatch(r'\s*\+?\d+\s*', label):
        raise ValueError(f'the label is {label.strip()!r}')
    return dict(path=path, label=int(label))


_EXTENSION_THEN_TEXT = '(' + '|'.join(map(re.escape, VIDEO_EXTENSIONS)) + r')[ \t,]+[^ \t,./\\]+$'


def scan_folder(
    folder: str,
    extensions: Sequence[str] = VIDEO_EXTENSIONS,
    frame_tmpl: str | None = None,
    backend_args: dict | None = None,
) -> list[dict]:
    """List every video below a folder, or every folder of frames when ``frame_tmpl`` is given.

    Args:
        folder (str): Where to look, sub-folders included. Names that start with a dot are passed
            over.
        extensions (Sequence[str]): What a video's name ends in, in any case.
        frame_tmpl (str | None): File name template of raw frames.
        backend_args (dict | None): Arguments of mmengine's file backend.

    Returns:
        list[dict]: Records with ``path`` relative to ``folder``, sorted.

    Raises:
        FileNotFoundError: ``folder`` is not a folder.
        ValueError: It holds no video.
    """
    if not isdir(folder, backend_args=backend_args):
        raise FileNotFoundError(f'data folder {folder!r} is not a folder')
    files = list(
        list_dir_or_file(folder, list_dir=False, recursive=True, backend_args=backend_args)
    )
    if frame_tmpl is None:
        endings = tuple(extension.lower() for extension in extensions)
        paths = {file for file in files if file.lower().endswith(endings)}
        wanted = f'a name that ends in one of {", ".join(endings)}'
    else:
        pattern = frame_pattern(frame_tmpl)
        paths = {os.path.dirname(f) for f in files if pattern.fullmatch(os.path.basename(f))}
        wanted = f'a name like {frame_tmpl!r}'
    if not paths:
        raise ValueError(f'{folder!r} holds {len(files)} files, none with {wanted}')
    return [dict(path=path) for path in sorted(paths)]


def join_inside(root: str, folder: str, path: str, backend_args: dict | None = None) -> str:
    """Join ``path`` to ``folder`` and refuse what leaves ``root`` (when there is a root).

    Raises:
        ValueError: The path is outside ``root``. Symbolic links are not followed: those inside the
            root are its owner's choice.
    """
    joined = join_path(folder, path, backend_args=backend_args) if folder else path
    if root and ('..' in path or os.path.isabs(path)):
        whole = os.path.normpath if '://' in root else os.path.abspath
        top = whole(root)
        if os.path.commonpath([top, whole(joined)]) != top:
            raise ValueError(f'path {path!r} leaves the data root {root!r}')
    return joined
