r"""Decode every video of a folder or of a list and tell what cannot be read, and why.

    python tools/dataset_converters/check_videos.py data/k400/videos
    python tools/dataset_converters/check_videos.py data/k400/videos --list train.txt \
        --out bad.txt --good-list train_readable.txt
    python tools/dataset_converters/check_videos.py data/k400/shards/index.npz

The report has one line a video, path and cause parted by a tab; --out writes it to a file. Found
are files that training could not read, by the same reader: those that do not open, have no video or
no frame, fail or are damaged midway, crash or hang the decoder; and files that end before what they
announce. Exit code 1 if there is any. Given the index of packed videos, it compares shards and
index as well. With --for CONFIG, videos too short for its clips, or of too few frames a second, are
counted.
"""

import argparse
import sys
from contextlib import nullcontext
from dataclasses import dataclass

from common import (
    add_parallel_arguments,
    list_lines,
    report_causes,
    write_lines,
)
from decoding import pictures
from needs import add_needs_argument, needs_of_config, what_repeats
from shard_checks import as_file, faults_of_shards

from mmmae_st.command_line import short_errors, tool_parser
from mmmae_st.datasets.annotations import join_inside, read_list, scan_folder
from mmmae_st.datasets.parallel import run_parallel
from mmmae_st.datasets.readers import open_video
from mmmae_st.datasets.readers.container import open_container, video_stream
from mmmae_st.datasets.readers.stored import StoredVideo
from mmmae_st.datasets.records import RecordList
from mmmae_st.datasets.shards import ENDING, ShardIndex
from mmmae_st.fileio.atomic_file import require_writable


@dataclass(frozen=True)
class Job:
    """One video to check, a file or stored in another."""

    number: int
    path: str
    quick: bool
    stored: StoredVideo | None = None


def check(job: Job) -> tuple[int, float]:
    """Decode a video, or its beginning, middle and end; returns frames and frames a second.

    Raises:
        OSError, ValueError, VideoReadError: The video is not sound.
    """
    with nullcontext(job.path) if job.stored is None else as_file(job.stored, job.path) as path:
        with open_video(path) as reader:
            frames, fps = reader.num_frames, reader.fps
            reader.read(sorted({0, frames // 2, frames - 1}))
        if not job.quick:
            _check_all(path, frames)
    return frames, fps


def _check_all(path: str, frames: int) -> None:
    with open_container(path) as container:
        stream = video_stream(container)
        announced = stream.frames
        packets = sum(bool(packet.size) for packet in container.demux(stream))
    # A few frames less than announced are common.
    if packets < 0.9 * announced:
        raise ValueError(f'ends early: {packets} of {announced} frames')
    count = 0
    try:
        for _ in pictures(path):
            count += 1
    except (OSError, ValueError) as error:
        cause = getattr(error, 'strerror', None) or error
        raise ValueError(f'after {count} frames: {cause}') from error
    if count < frames:
        raise ValueError(f'ends early: {count} of {frames} frames')


def parse_args() -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__, defaults=False)
    parser.add_argument('root', help='folder of videos, sub-folders included, or an index (.npz)')
    parser.add_argument('--list', help='check the videos of this list, relative to the folder')
    parser.add_argument('--out', help='file for the unreadable videos, in place of the terminal')
    parser.add_argument('--good-list', help='where to write the lines of the readable ones')
    parser.add_argument(
        '--quick', action='store_true', help='decode only at the beginning, middle and end'
    )
    add_needs_argument(parser)
    add_parallel_arguments(parser)
    return parser.parse_args()


def find_records(args: argparse.Namespace) -> RecordList | ShardIndex:
    """The videos to check.

    Raises:
        OSError, ValueError: There are none.
    """
    if not args.root.endswith(ENDING):
        return read_list(args.list) if args.list else scan_folder(args.root)
    if args.list or args.good_list:
        raise ValueError('--list and --good-list must be left out with an index')
    index = ShardIndex(args.root)
    index.require_shards()
    return index


def job_of(records: RecordList | ShardIndex, number: int, args: argparse.Namespace) -> Job:
    """What is to be done for a video."""
    if isinstance(records, ShardIndex):
        return Job(number, records.path(number), args.quick, records[number]['stored'])
    return Job(number, join_inside(args.root, args.root, records.path(number)), args.quick)


def main() -> int:
    """Check all; 1 if a video is unreadable or a shard not as it must be."""
    args = parse_args()
    with short_errors():
        for path in filter(None, (args.out, args.good_list)):
            require_writable(path)
        needs = needs_of_config(args.config) if args.config else None
        records = find_records(args)
        paths = [records.path(number) for number in range(len(records))]
        jobs = [job_of(records, number, args) for number in range(len(records))]
        shards: list[tuple[str, str]] = []
        if isinstance(records, ShardIndex):
            shards = faults_of_shards(records, args.workers, args.timeout)
        bad: dict[int, str] = {}
        found = []
        for outcome in run_parallel(check, jobs, args.workers, args.timeout):
            if outcome.error is not None:
                bad[outcome.task.number] = outcome.error
            else:
                found.append(outcome.value)
        report_causes(args.out, shards + [(paths[number], bad[number]) for number in sorted(bad)])
        if args.good_list:
            good = [number for number in range(len(records)) if number not in bad]
            lines = map(records.line, good) if args.list else list_lines(records[good])
            write_lines(args.good_list, lines)
    if isinstance(records, ShardIndex):
        print(f'{len(shards)} shards are not as the index says')
    see = f', see {args.out}' if args.out else ''
    print(f'{len(bad)} of {len(records)} videos are unreadable{see}')
    for line in what_repeats(needs, found):
        print(line)
    return bool(bad or shards)


if __name__ == '__main__':
    sys.exit(main())
