"""Annotation lists and folder scans: text and file names to records; nothing is decoded here."""

import codecs
import os
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from mmengine.fileio import LocalBackend, get, get_file_backend, isdir, join_path, list_dir_or_file
from mmengine.logging import print_log

from mmmae_st.datasets.readers.frame_folder import frame_pattern
from mmmae_st.datasets.records import RecordList

VIDEO_EXTENSIONS = (
    *('.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.flv', '.wmv', '.mpg', '.mpeg'),
    *('.ts', '.mts', '.m2ts', '.3gp', '.ogv', '.asf', '.vob', '.f4v', '.divx'),
)
DELIMITERS = (' ', '\t', ',')
NO_LABEL = -1


class AnnotationError(ValueError):
    """A list or a folder of videos is not as it must be; the message says all that is to say."""


class DataNotFoundError(FileNotFoundError):
    """A list or a folder of videos does not exist."""


def read_list(
    ann_file: str,
    delimiter: str | None = None,
    frame_folders: bool = False,
    backend_args: dict | None = None,
) -> RecordList:
    """Read an annotation list: one ``path`` or ``path label`` a line.

    Without ``delimiter`` a trailing integer set off by spaces, tabs or a comma is the label and all
    before it is the path, which may hold spaces and commas. A list of frame folders may have the
    frame count between path and label; the count is not used.

    Args:
        ann_file: The list, UTF-8.
        delimiter: Space, tab or comma: the last one of a line parts path and label.
            Give it when paths end in numbers. Defaults to None.
        frame_folders: The paths are folders of frames. Defaults to False.
        backend_args: Arguments of mmengine's file backend.

    Returns:
        Records with ``path`` (str) and, when the list has them, ``label`` (int).

    Raises:
        DataNotFoundError: The list does not exist.
        AnnotationError: The list is empty or not text, or a line is malformed.
    """
    try:
        text = get(ann_file, backend_args=backend_args)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise DataNotFoundError(f'ann_file {ann_file!r} is not a file') from error
    text = text.removeprefix(codecs.BOM_UTF8)
    _require_utf8(text, ann_file)
    first_line = text[: text.find(b'\n') % (len(text) + 1)].decode().strip()
    if 'youtube_id' in first_line.split(','):
        raise AnnotationError(
            f"{ann_file}: {first_line!r} are the columns of Kinetics' annotations, which "
            'name no files: make a list with tools/dataset_converters/build_file_list.py kinetics'
        )
    # One pass over the text: usual lines by a pattern, others one by one.
    starts, stops, labels = array('q'), array('q'), array('q')
    for match in _line_pattern(delimiter, frame_folders).finditer(text):
        if match.lastindex == 2:
            start, stop = match.span(1)
            label = int(match[2])
        else:
            line = match[0].decode()
            if not line.strip():
                continue
            try:
                record = parse_line(line, delimiter, frame_folders)
            except ValueError as error:
                raise _bad_line(ann_file, text, match.start(), str(error)) from error
            path = record['path'].encode()
            start = text.index(path, match.start())
            stop = start + len(path)
            label = record.get('label', NO_LABEL)
        starts.append(start)
        stops.append(stop)
        labels.append(label)
    if not starts:
        raise AnnotationError(f'ann_file {ann_file!r} names no video')
    without = labels.count(NO_LABEL)
    if without == len(labels):
        return RecordList(text, starts, stops)
    if without:  # whatever is rarer is wrong: a header, a comment, a line cut short
        bare_is_rarer = 2 * without <= len(labels)
        odd = next(i for i, x in enumerate(labels) if (x == NO_LABEL) == bare_is_rarer)
        cause = (
            f'no label, while {len(labels) - without} lines have one'
            if bare_is_rarer
            else f'a label, while {without} lines have none'
        )
        raise _bad_line(ann_file, text, starts[odd], cause)
    return RecordList(text, starts, stops, labels)


def _require_utf8(text: bytes, ann_file: str) -> None:
    decoder = codecs.getincrementaldecoder('utf-8')()
    try:
        for start in range(0, len(text), 2**20):  # a decoded list would take its size again
            decoder.decode(text[start : start + 2**20])
        decoder.decode(b'', final=True)
    except UnicodeDecodeError as error:
        raise AnnotationError(f'ann_file {ann_file!r} is not UTF-8 text') from error


def _line_pattern(delimiter: str | None, frame_folders: bool) -> re.Pattern:
    """Any line; groups are the path and the label of one that leaves no doubt."""
    if frame_folders:
        return re.compile(rb'^.*$', re.MULTILINE)
    if delimiter is None:
        endings = '|'.join(re.escape(ending[1:]) for ending in VIDEO_EXTENSIONS)
        path, gap = rf'[^\s#,].*\.(?i:{endings})', r'[ \t,]+'
    else:
        path, gap = r'[^\s#](?:.*\S)?', re.escape(delimiter)
    label = r'(\d{1,18})\r?'
    return re.compile(rf'^({path}){gap}{label}$|^.*$'.encode(), re.MULTILINE)


def _bad_line(ann_file: str, text: bytes, position: int, cause: str) -> AnnotationError:
    number = text.count(b'\n', 0, position) + 1
    line = text.split(b'\n', number)[number - 1].decode().strip()
    return AnnotationError(
        f'{ann_file}, line {number}: {cause}; expected "path" or "path label" '
        f'with an integer label >= 0, got {line!r}'
    )


def parse_line(line: str, delimiter: str | None, frame_folders: bool = False) -> dict:
    """Split one line into ``path`` and, when there is one, ``label``.

    Raises:
        ValueError: The line is malformed.
    """
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
    named = frame_folders or path.lower().endswith(VIDEO_EXTENSIONS)
    if path.startswith('#') and not named and (delimiter is None or label is None):
        raise ValueError('a comment, which lists do not have')
    if delimiter is None and not named and re.search(_EXTENSION_THEN_TEXT, path, re.IGNORECASE):
        raise ValueError('text that is no label follows the file name')
    if label is None:
        return dict(path=path)
    if not re.fullmatch(r'\s*\+?\d{1,18}\s*', label):
        raise ValueError(f'the label is {label.strip()!r}')
    return dict(path=path, label=int(label))


_EXTENSION_THEN_TEXT = '(' + '|'.join(map(re.escape, VIDEO_EXTENSIONS)) + r')[ \t,][^/\\]*$'


def scan_folder(
    folder: str,
    extensions: Sequence[str] = VIDEO_EXTENSIONS,
    frame_tmpl: str | None = None,
    backend_args: dict | None = None,
) -> RecordList:
    """List every video below a folder, or every folder of frames when ``frame_tmpl`` is given.

    What is left out is counted in one line of the log, by the endings of the names.

    Args:
        folder: Where to look, sub-folders included. Names that start with a dot are passed
            over.
        extensions: What a video's name ends in, in any case.
        frame_tmpl: File name template of raw frames.
        backend_args: Arguments of mmengine's file backend.

    Returns:
        Records with ``path`` relative to ``folder``, sorted.

    Raises:
        DataNotFoundError: ``folder`` is not a folder.
        AnnotationError: It holds no video.
    """
    if not isdir(folder, backend_args=backend_args):
        raise DataNotFoundError(f'data folder {folder!r} is not a folder')
    endings = tuple(extension.lower() for extension in extensions)
    pattern = None if frame_tmpl is None else frame_pattern(frame_tmpl)
    paths: set[str] = set()
    left_out: Counter[str] = Counter()
    for file in _files_below(folder, backend_args):
        parent, name = os.path.split(file)
        if any(part.startswith('.') for part in file.split(os.sep)):
            left_out['hidden'] += 1
        elif pattern is not None and pattern.fullmatch(name):
            paths.add(parent)
        elif pattern is None and name.lower().endswith(endings):
            paths.add(file)
        else:
            left_out[os.path.splitext(name)[1].lower() or 'without an ending'] += 1
    kinds = sorted(left_out.items(), key=lambda kind: (-kind[1], kind[0]))
    told = ', '.join(f'{number} {kind}' for kind, number in kinds[:8])
    if not paths:
        wanted = (
            f'a name that ends in one of {", ".join(endings)}'
            if frame_tmpl is None
            else f'a name like {frame_tmpl!r}'
        )
        raise AnnotationError(
            f'{folder!r} holds {left_out.total()} files{f" ({told})" if told else ""}, '
            f'none with {wanted}'
        )
    if left_out:
        kind = 'videos' if frame_tmpl is None else 'folders of frames'
        print_log(f'{folder}: {len(paths)} {kind}; files left out: {told}', logger='current')
    return RecordList.of_paths(sorted(paths))


def _files_below(folder: str, backend_args: dict | None) -> Iterator[str]:
    """Paths relative to the folder; hidden ones too where the disk is local."""
    if not isinstance(get_file_backend(folder, backend_args=backend_args), LocalBackend):
        yield from list_dir_or_file(
            folder, list_dir=False, recursive=True, backend_args=backend_args
        )
        return
    for parent, _, names in os.walk(folder, followlinks=True):
        beginning = os.path.relpath(parent, folder)
        for name in names:
            yield name if beginning == os.curdir else os.path.join(beginning, name)


def require_inside(records: RecordList, root: str, folder: str) -> None:
    """Check that no path, joined to ``folder``, leaves ``root``.

    Raises:
        AnnotationError: A path does.
    """
    first_bytes = np.frombuffer(records.text, np.uint8)[records.starts]
    doubtful = set(np.flatnonzero(first_bytes == ord('/')).tolist())
    dots = [match.start() for match in re.finditer(rb'\.\.', records.text)]
    doubtful.update((np.searchsorted(records.starts, dots, 'right') - 1).tolist())
    for index in sorted(doubtful):
        join_inside(root, folder, records.path(index))


def join_inside(root: str, folder: str, path: str, backend_args: dict | None = None) -> str:
    """Join ``path`` to ``folder`` and refuse what leaves ``root`` (when there is a root).

    Raises:
        AnnotationError: The path is outside ``root``. Symbolic links are not followed: those inside
            the root are its owner's choice.
    """
    joined = join_path(folder, path, backend_args=backend_args) if folder else path
    if root and ('..' in path or os.path.isabs(path)):
        whole = os.path.normpath if '://' in root else os.path.abspath
        top = whole(root)
        if os.path.commonpath([top, whole(joined)]) != top:
            raise AnnotationError(f'path {path!r} leaves the data root {root!r}')
    return joined
