"""Videos packed into plain tar files with one index, by which single ones are read out of them."""

import io
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from common import require_space, write_failures, write_lines

from mmmae_st.datasets.annotations import read_list, require_inside, scan_folder
from mmmae_st.datasets.parallel import run_parallel
from mmmae_st.datasets.prepared import SETTINGS_FILE
from mmmae_st.datasets.readers import VideoReadError, read_errors
from mmmae_st.datasets.readers.pyav_reader import contents_of
from mmmae_st.datasets.shards import COLUMNS
from mmmae_st.fileio.atomic_file import written_whole
from mmmae_st.fileio.columns import write_columns

INDEX = 'index.npz'
OVERHEAD = 2048  # bytes beside a video: headers, padding, label


@dataclass(frozen=True)
class Member:
    """A video that goes into a shard: its path below the source, bytes, and label if it has one."""

    path: str
    size: int
    label: int | None


@dataclass(frozen=True)
class Shard:
    """A tar file to write, and what goes into it."""

    target: str
    source: str
    members: tuple[Member, ...]

    @property
    def notes(self) -> str:
        """The file that says what has been packed; the shard is whole when it is there."""
        folder, name = os.path.split(self.target)
        return os.path.join(folder, f'.{os.path.splitext(name)[0]}.jsonl')


def pack_folder(
    source: str,
    target: str,
    list_file: str | None,
    workers: int,
    shard_bytes: float = 1e9,
    timeout: float = 3600,
) -> int:
    """Pack the videos of a folder, or of a list, in their order; does what is missing.

    Args:
        source: Folder of videos.
        target: Folder to write to.
        list_file: A list of videos of the folder.
        workers: Processes, each of which writes a tar file.
        shard_bytes: Size of a tar file.
        timeout: Seconds after which a tar file is given up.

    Returns:
        The number of videos that could not be read; they are in ``failed.txt``.

    Raises:
        OSError, ValueError: Other videos are in the target, the disk has too little space, or a
            shard could not be written.
    """
    shards = plan(source, target, list_file, shard_bytes)
    os.makedirs(target, exist_ok=True)
    _require_same(target, shards)
    settings = os.path.join(source, SETTINGS_FILE)
    if os.path.isfile(settings):
        shutil.copy(settings, target)
    missing = [shard for shard in shards if not _is_whole(shard)]
    print(f'{len(missing)} shards to write, {len(shards) - len(missing)} are there already')
    if missing:
        sizes = [member.size + OVERHEAD for shard in missing for member in shard.members]
        print(require_space(target, sum(sizes), f'{len(sizes)} videos'))
    for outcome in run_parallel(pack, missing, workers, timeout):
        if outcome.error is not None:
            raise ValueError(f'{outcome.task.target} was not written: {outcome.error}')
    failures = write_index(target, shards)
    write_failures(target, failures, sum(len(x.members) for x in shards) - len(failures))
    return len(failures)


def plan(source: str, target: str, list_file: str | None, shard_bytes: float) -> list[Shard]:
    """Which videos go into which shard."""
    if list_file is None:
        records = scan_folder(source)
    else:
        records = read_list(list_file)
        require_inside(records, source, source)
    groups: list[list[Member]] = [[]]
    filled = 0
    for number in range(len(records)):
        path = records.path(number)
        label = None if records.labels is None else int(records.labels[number])
        member = Member(path, os.path.getsize(os.path.join(source, path)), label)
        if groups[-1] and filled + member.size > shard_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(member)
        filled += member.size + OVERHEAD
    return [
        Shard(os.path.join(target, f'{number:06}.tar'), source, tuple(group))
        for number, group in enumerate(groups)
    ]


def pack(shard: Shard) -> None:
    """Write a shard and note what is in it. Equal videos make equal bytes."""
    records: list[dict] = []
    failures: list[tuple[str, str]] = []
    with written_whole(shard.target) as temporary, tarfile.open(temporary, 'w') as tar:
        for member in shard.members:
            try:
                with read_errors():
                    contents, by_table = contents_of(os.path.join(shard.source, member.path))
            except VideoReadError as error:
                failures.append((member.path, str(error)))
                continue
            record = dict(path=member.path, label=member.label, by_table=by_table)
            records.append(record | contents._asdict() | _add(tar, shard.source, member))
    head = dict(bytes=os.path.getsize(shard.target), failures=failures)
    write_lines(shard.notes, map(json.dumps, [head, *records]))


def _add(tar: tarfile.TarFile, source: str, member: Member) -> dict:
    """Add a video, and its label as WebDataset has it; returns where the video stands."""
    info = tarfile.TarInfo(member.path)
    info.size = member.size
    with open(os.path.join(source, member.path), 'rb') as file:
        counted = _Checksum(file)
        tar.addfile(info, counted)  # type: ignore[arg-type]
    blocks = -(-member.size // tarfile.BLOCKSIZE)
    place = dict(offset=tar.offset - blocks * tarfile.BLOCKSIZE, bytes=member.size)
    if member.label is not None:
        text = str(member.label).encode()
        info = tarfile.TarInfo(f'{os.path.splitext(member.path)[0]}.cls')
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    return dict(place, crc32=counted.crc32)


class _Checksum:
    """A file that is read, and the CRC-32 of what was read of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.crc32 = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.crc32 = zlib.crc32(data, self.crc32)
        return data


def _notes(shard: Shard) -> tuple[dict, list[dict]]:
    """What was noted of a shard as a whole, and of each video in it."""
    with open(shard.notes, encoding='utf-8') as file:
        head, *records = map(json.loads, file)
    return head, records


def _is_whole(shard: Shard) -> bool:
    if not (os.path.exists(shard.notes) and os.path.exists(shard.target)):
        return False
    return _notes(shard)[0]['bytes'] == os.path.getsize(shard.target)


def _require_same(target: str, shards: Sequence[Shard]) -> None:
    """Refuse a folder into which other videos were packed."""
    wanted = {os.path.basename(shard.target) for shard in shards}
    others = [name for name in os.listdir(target) if name.endswith('.tar') and name not in wanted]
    for shard in shards:
        if os.path.exists(shard.notes):
            head, records = _notes(shard)
            unreadable = {path for path, _ in head['failures']}
            there = [(record['path'], record['bytes'], record['label']) for record in records]
            asked = [(member.path, member.size, member.label) for member in shard.members]
            if there != [member for member in asked if member[0] not in unreadable]:
                others.append(os.path.basename(shard.target))
    if others:
        raise ValueError(f'{target!r} holds {others[0]} of other videos: name a new folder')


def write_index(target: str, shards: Sequence[Shard]) -> list[tuple[str, str]]:
    """Gather what was noted of all shards; returns the videos that could not be read, and why.

    Raises:
        ValueError: None could be read.
    """
    parts, sizes = [], []
    failures: list[tuple[str, str]] = []
    for number, shard in enumerate(shards):
        head, records = _notes(shard)
        sizes.append(head['bytes'])
        failures += [(path, cause) for path, cause in head['failures']]
        if records:
            parts.append(_columns(number, records))
    if not parts:
        path, cause = failures[0]
        raise ValueError(f'none of {len(failures)} videos can be read, the first: {path}: {cause}')
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    for name in ('path_ends', 'key_frame_ends'):
        columns[name] = columns[name].cumsum()
    columns['shards'] = np.array([os.path.basename(shard.target) for shard in shards])
    columns['shard_bytes'] = np.array(sizes, np.int64)
    write_columns(os.path.join(target, INDEX), columns)
    return failures


def _columns(shard: int, records: Sequence[dict]) -> dict[str, np.ndarray]:
    """Columns of an index for the videos of one shard; lengths stand in place of ends."""
    paths = [record['path'].encode('utf-8', 'surrogateescape') for record in records]
    keys = [record['key_frames'] for record in records]
    values: dict[str, Any] = dict(
        paths=np.frombuffer(b''.join(paths), np.uint8),
        path_ends=[len(path) for path in paths],
        key_frames=[number for numbers in keys for number in numbers],
        key_frame_ends=[len(numbers) for numbers in keys],
        shard=[shard] * len(records),
    )
    for name in ('offset', 'bytes', 'crc32', 'frames', 'rate', 'by_table', 'label'):
        if records[0][name] is not None:
            values[name] = [record[name] for record in records]
    return {name: np.asarray(value, COLUMNS[name]) for name, value in values.items()}
