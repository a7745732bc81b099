"""Whether shards and their index say the same."""

import os
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from mmmae_st.datasets.parallel import run_parallel
from mmmae_st.datasets.readers import VideoReadError
from mmmae_st.datasets.readers.pyav_reader import contents_of
from mmmae_st.datasets.readers.stored import PIECE, StoredVideo, open_stored
from mmmae_st.datasets.shards import ShardIndex


@dataclass(frozen=True)
class ShardJob:
    """A shard, its bytes, and the offset and bytes of each video in it, by the index."""

    path: str
    size: int
    places: dict[str, tuple[int, int]]


def faults_of_shards(index: ShardIndex, workers: int, timeout: float) -> list[tuple[str, str]]:
    """The shards that are not as the index says, each with the cause."""
    columns = index.columns
    order = np.argsort(columns['shard'], kind='stable')
    groups = np.split(
        order, np.searchsorted(columns['shard'][order], range(1, len(columns['shards'])))
    )
    jobs = []
    for number, videos in enumerate(groups):
        places = {
            index.path(video): (int(columns['offset'][video]), int(columns['bytes'][video]))
            for video in videos
        }
        size = int(columns['shard_bytes'][number])
        jobs.append(ShardJob(index.shard_path(number), size, places))
    outcomes = run_parallel(check_shard, jobs, workers, timeout)
    return sorted((o.task.path, o.error) for o in outcomes if o.error is not None)


def check_shard(job: ShardJob) -> None:
    """List a shard as tar does.

    Raises:
        OSError, ValueError, tarfile.TarError: It is not as the index says.
    """
    size = os.path.getsize(job.path)
    if size != job.size:
        raise ValueError(f'has {size} bytes, and {job.size} by the index')
    with tarfile.open(job.path, 'r:') as tar:
        found = {member.name: (member.offset_data, member.size) for member in tar}
    for name, place in job.places.items():
        if found.get(name) != place:
            raise ValueError(
                f'{name!r} should be {place[1]} bytes at {place[0]} and is '
                + ('not there' if name not in found else '{1} at {0}'.format(*found[name]))
            )


@contextmanager
def as_file(stored: StoredVideo, name: str) -> Iterator[str]:
    """A packed video as a file of its own, for as long as the block lasts.

    Raises:
        VideoReadError: It cannot be read, or is not what the index says.
    """
    crc = 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f'video{os.path.splitext(name)[1]}')
        with open_stored(stored) as source, open(path, 'wb') as file:
            while piece := source.read(PIECE):
                crc = zlib.crc32(piece, crc)
                file.write(piece)
        if crc != stored.crc32:  # of those that are read in pieces only this looks at all bytes
            raise VideoReadError(f'{stored.file} was changed where the video stands')
        if contents_of(path) != (stored.contents, stored.by_table):
            raise VideoReadError('file and index differ in frames, key frames or frame rate')
        yield path
