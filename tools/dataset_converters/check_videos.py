r"""Decode every video of a folder or of a list and write down what cannot be read, and why.

    python tools/dataset_converters/check_videos.py data/k400/videos --out bad.txt
    python tools/dataset_converters/check_videos.py data/k400/videos --list train.txt \
        --out bad.txt --good-list train_readable.txt

The report has one line a video, path and cause parted by a tab. Found are files that do not open,
have no video or no frame, fail or are damaged midway, end early, crash or hang the decoder. Exit
code 1 if there is any.
"""

import argparse
import sys
from dataclasses import dataclass

import av
from common import add_parallel_arguments, run_parallel, write_lines

from mmmae_st.datasets.annotations import join_inside, parse_line, scan_folder


@dataclass(frozen=True)
class Job:
    """One video to check."""

    number: int
    path: str
    quick: bool


def check(job: Job) -> None:
    """Decode a video, or its beginning, middle and end.

    Raises:
        OSError, ValueError: The video is not sound.
    """
    with av.open(job.path) as container:
        if not container.streams.video:
            raise ValueError('has no video stream')
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        if job.quick:
            _check_points(container, stream)
        else:
            _check_all(container, stream)


def _check_all(container: av.container.InputContainer, stream: av.VideoStream) -> None:
    count = 0
    try:
        for frame in container.decode(stream):
            if frame.is_corrupt:
                raise ValueError('is damaged')
            count += 1
    except (av.FFmpegError, ValueError) as error:
        cause = getattr(error, 'strerror', None) or error
        raise ValueError(f'after {count} frames: {cause}') from error
    if count == 0:
        raise ValueError('has no frame')
    # A few frames less than announced are common, in files cut without being re-encoded.
    if count < 0.9 * stream.frames:
        raise ValueError(f'ends early: {count} of {stream.frames} frames')


def _check_points(container: av.container.InputContainer, stream: av.VideoStream) -> None:
    begin = stream.start_time or 0
    length = stream.duration or 0
    for share in (0.0, 0.5, 0.95):
        if share:
            container.seek(begin + int(share * length), stream=stream)
        frame = next(container.decode(stream), None)
        if frame is None:
            raise ValueError(f'has no frame at {share:.0%}')
        if frame.is_corrupt:
            raise ValueError(f'is damaged at {share:.0%}')


def read_lines(args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """The lines to check, as they are in the list, and the path that each names."""
    if args.list is None:
        paths = [record['path'] for record in scan_folder(args.root)]
        return paths, paths
    with open(args.list, encoding='utf-8-sig') as file:
        lines = [line.rstrip('\n') for line in file if line.strip()]
    if not lines:
        raise ValueError(f'list {args.list!r} names no video')
    return lines, [parse_line(line, None)['path'] for line in lines]


def parse_args() -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('root', help='folder of videos, sub-folders included')
    parser.add_argument('--list', help='check the videos of this list, relative to the folder')
    parser.add_argument('--out', required=True, help='where to write the unreadable videos')
    parser.add_argument('--good-list', help='where to write the lines of the readable ones')
    parser.add_argument(
        '--quick', action='store_true', help='decode only at the beginning, middle and end'
    )
    add_parallel_arguments(parser)
    return parser.parse_args()


def main() -> int:
    """Check all; 1 if a video is unreadable."""
    args = parse_args()
    lines, paths = read_lines(args)
    jobs = [
        Job(number, join_inside(args.root, args.root, path), args.quick)
        for number, path in enumerate(paths)
    ]
    bad = {
        outcome.task.number: outcome.error
        for outcome in run_parallel(check, jobs, args.workers, args.timeout)
        if outcome.error is not None
    }
    write_lines(args.out, (f'{paths[number]}\t{bad[number]}' for number in sorted(bad)))
    if args.good_list:
        write_lines(args.good_list, (line for i, line in enumerate(lines) if i not in bad))
    print(f'{len(bad)} of {len(lines)} videos are unreadable, see {args.out}')
    return bool(bad)


if __name__ == '__main__':
    sys.exit(main())
