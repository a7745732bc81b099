"""The index of videos that are packed into tar files: where each stands and what is in it."""

import os
from collections.abc import Mapping, Sequence
from logging import WARNING
from typing import Any

import numpy as np
from mmengine.fileio import LocalBackend, get, get_file_backend
from mmengine.logging import print_log

from mmmae_st.datasets.annotations import AnnotationError, DataNotFoundError
from mmmae_st.datasets.readers.stored import Contents, StoredVideo
from mmmae_st.fileio.byte_ranges import require_ranges
from mmmae_st.fileio.columns import columns_in, map_columns

ENDING = '.npz'
# Columns of an index. N videos, S shards, P bytes of paths, K key frames of all videos.
COLUMNS = dict(
    paths=np.uint8,  # (P,) UTF-8, one after the other
    path_ends=np.int64,  # (N,)
    shards=np.str_,  # (S,) names of the tar files
    shard_bytes=np.int64,  # (S,)
    shard=np.int32,  # (N,) which of the shards
    offset=np.int64,  # (N,) first byte in it
    bytes=np.int64,  # (N,)
    crc32=np.uint32,  # (N,)
    frames=np.int64,  # (N,)
    rate=np.float64,  # (N,) frames a second; 0 where unknown
    key_frames=np.int64,  # (K,) their numbers, video by video
    key_frame_ends=np.int64,  # (N,)
    by_table=np.bool_,  # (N,) whether the container's table numbers the frames rightly
    label=np.int64,  # (N,); left out where videos have no labels
)


class ShardIndex(Sequence):
    """Records of packed videos: ``path``, ``stored`` (StoredVideo) and perhaps ``label``.

    The columns are mapped into memory: workers share them, and copies of this object that are sent
    to other processes map the file again.

    Args:
        ann_file: The index.
        folder: Where the shards are; '' for beside the index.
        backend_args: Arguments of mmengine's file backend, by which the index is fetched where it
            is not on the local disk.
        chosen: (n,) numbers of the videos that there are; None for all.

    Raises:
        DataNotFoundError: There is no such index, or none of its shards on the local disk.
        AnnotationError: It is damaged or no index.
    """

    def __init__(
        self,
        ann_file: str,
        folder: str = '',
        backend_args: dict | None = None,
        chosen: np.ndarray | None = None,
    ) -> None:
        self.ann_file = ann_file
        self.folder = folder or os.path.dirname(ann_file) or os.curdir
        self.backend_args = backend_args
        self.chosen = chosen
        self.columns = _load(ann_file, backend_args)

    def __reduce__(self) -> tuple:
        return ShardIndex, (self.ann_file, self.folder, self.backend_args, self.chosen)

    @property
    def labels(self) -> np.ndarray | None:
        """(n,) int64; None for videos without."""
        labels = self.columns.get('label')
        return labels if labels is None or self.chosen is None else labels[self.chosen]

    def path(self, index: int) -> str:
        """The name of a video in its shard."""
        return self._text(self._number(index))

    def __len__(self) -> int:
        return len(self.columns['path_ends']) if self.chosen is None else len(self.chosen)

    def __getitem__(self, index: Any) -> Any:
        """A record (dict) for a number, a ShardIndex for a slice or several numbers."""
        if not isinstance(index, (int, np.integer)):
            every = np.arange(len(self)) if self.chosen is None else self.chosen
            chosen = every[index if isinstance(index, slice) else np.asarray(index, np.int64)]
            return ShardIndex(self.ann_file, self.folder, self.backend_args, chosen)
        number = self._number(int(index))
        record: dict[str, Any] = dict(path=self._text(number), stored=self._stored(number))
        if 'label' in self.columns:
            record['label'] = int(self.columns['label'][number])
        return record

    def _number(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(f'index {index} is out of range for {len(self)} videos')
        index %= len(self)
        return index if self.chosen is None else int(self.chosen[index])

    def _text(self, number: int) -> str:
        data = _part(self.columns, 'paths', 'path_ends', number).tobytes()
        return data.decode('utf-8', 'surrogateescape')

    def _stored(self, number: int) -> StoredVideo:
        columns = self.columns
        keys = _part(columns, 'key_frames', 'key_frame_ends', number)
        frames, rate = int(columns['frames'][number]), float(columns['rate'][number])
        return StoredVideo(
            self.shard_path(int(columns['shard'][number])),
            int(columns['offset'][number]),
            int(columns['bytes'][number]),
            int(columns['crc32'][number]),
            Contents(frames, rate, tuple(keys.tolist())),
            bool(columns['by_table'][number]),
        )

    def shard_path(self, shard: int) -> str:
        """Local path or URI of a shard."""
        return f'{self.folder.rstrip("/")}/{self.columns["shards"][shard]}'

    def require_shards(self, backend_args: dict | None = None) -> None:
        """Check that videos can be read out of the shards, as far as can be told at once.

        Args:
            backend_args: Arguments of mmengine's file backend, by which videos will be read.

        Raises:
            ValueError: The backend cannot read parts of files.
            DataNotFoundError: The shards are to be on the local disk, and none is there; some that
                lack are logged.
        """
        require_ranges(self.shard_path(0), backend_args)
        backend = get_file_backend(self.shard_path(0), backend_args=backend_args)
        if not isinstance(backend, LocalBackend):
            return
        names = self.columns['shards'].tolist()
        gone = [name for i, name in enumerate(names) if not os.path.isfile(self.shard_path(i))]
        if len(gone) == len(names):
            raise DataNotFoundError(
                f'none of the {len(names)} shards of {self.ann_file} is in {self.folder!r}: they '
                'belong beside it, or into the folder that data_prefix=dict(video=...) names'
            )
        if gone:
            print_log(
                f'{self.folder}: {len(gone)} of {len(names)} shards are not there, the first: '
                f'{gone[0]}; their videos cannot be read',
                logger='current',
                level=WARNING,
            )


def _part(columns: Mapping[str, np.ndarray], name: str, ends: str, number: int) -> np.ndarray:
    """What belongs to one video in a column that holds several values of each."""
    begin = columns[ends][number - 1] if number else 0
    return columns[name][begin : columns[ends][number]]


def _load(ann_file: str, backend_args: dict | None) -> dict[str, np.ndarray]:
    backend = get_file_backend(ann_file, backend_args=backend_args)
    try:
        if isinstance(backend, LocalBackend):
            columns = map_columns(ann_file)
        else:
            columns = columns_in(get(ann_file, backend_args=backend_args), ann_file)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise DataNotFoundError(f'ann_file {ann_file!r} is not a file') from error
    except ValueError as error:
        raise AnnotationError(str(error)) from error
    fault = _fault(columns)
    if fault:
        raise AnnotationError(f'{ann_file} is no index of shards: {fault}')
    return columns


def _fault(columns: Mapping[str, np.ndarray]) -> str:
    """What is wrong with the columns; '' for nothing."""
    for name, kind in COLUMNS.items():
        if name == 'label' and name not in columns:
            continue
        if name not in columns:
            return f'it has no column {name!r}'
        if not np.issubdtype(columns[name].dtype, kind):
            return f'column {name!r} has numbers of type {columns[name].dtype}'
    number = len(columns['path_ends'])
    for name in ('shard', 'offset', 'bytes', 'crc32', 'frames', 'rate', 'by_table', 'label'):
        if name in columns and len(columns[name]) != number:
            return f'column {name!r} has {len(columns[name])} values for {number} videos'
    if number == 0:
        return 'it names no video'
    for ends, name in (('path_ends', 'paths'), ('key_frame_ends', 'key_frames')):
        if columns[ends][-1] != len(columns[name]) or (np.diff(columns[ends]) < 0).any():
            return f'columns {name!r} and {ends!r} do not fit'
    shard = columns['shard']
    if len(columns['shard_bytes']) != len(columns['shards']):
        return "columns 'shards' and 'shard_bytes' do not fit"
    if shard.min() < 0 or shard.max() >= len(columns['shards']):
        return f'a video is in shard {shard.max()} of {len(columns["shards"])}'
    if min(columns['offset'].min(), columns['bytes'].min()) < 0:
        return 'a video begins before its shard'
    names = columns['shards'].tolist()
    if any(os.path.basename(name) != name or name in ('', os.pardir) for name in names):
        return 'a shard is not named by a plain file name'
    return ''
