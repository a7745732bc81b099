"""Re-encode the videos below a folder to a smaller short side, which makes decoding much faster.

    python tools/dataset_converters/resize_videos.py data/k400/original data/k400/videos

Keeps the aspect, the time of every frame and the folders; drops sound; turns rotated videos
upright. Writes H.264 in .mp4 with a key frame at least every --key-frames frames, so that a clip
can be reached by decoding little. Videos that are small already are copied as they are. Run again
after an interruption, it does what is missing.
"""

import argparse
import os
import shutil
import sys
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

import av
import numpy as np
from av.video.frame import PictureType
from common import add_parallel_arguments, positive, run_parallel, write_failures, written_whole

from mmmae_st.datasets.annotations import scan_folder


@dataclass(frozen=True)
class Job:
    """One video to make."""

    source: str
    target: str  # without extension
    short_side: int
    crf: int
    key_frames: int


def new_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Width and height with the given short side, the aspect kept, rounded to even numbers."""
    scale = short_side / min(width, height)
    return 2 * round(width * scale / 2), 2 * round(height * scale / 2)


def upright(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame as it is meant to be seen."""
    turns = round(frame.rotation / 90) % 4
    if turns == 0:
        return frame
    pixels = np.ascontiguousarray(np.rot90(frame.to_ndarray(format='rgb24'), turns))
    turned = av.VideoFrame.from_ndarray(pixels, format='rgb24')
    turned.pts, turned.time_base = frame.pts, frame.time_base
    return turned


def resize(job: Job) -> str:
    """Make one video; returns ``'resized'`` or ``'copied'``.

    Raises:
        OSError, ValueError: The video cannot be read, or has no frame.
    """
    with av.open(job.source) as source:
        if not source.streams.video:
            raise ValueError('has no video stream')
        stream = source.streams.video[0]
        stream.codec_context.thread_count = 1
        frames = source.decode(stream)
        first = next(frames, None)
        if first is None:
            raise ValueError('has no frame')
        if min(first.width, first.height) <= job.short_side and not first.rotation:
            extension = os.path.splitext(job.source)[1]
            with written_whole(job.target + extension) as temporary:
                shutil.copyfile(job.source, temporary)
            return 'copied'

        first = upright(first)
        size = new_size(first.width, first.height, min(job.short_side, first.width, first.height))
        rate = stream.average_rate or Fraction(30)
        tick = stream.time_base or 1 / rate
        with written_whole(f'{job.target}.mp4') as temporary, av.open(temporary, 'w') as sink:
            output = sink.add_stream('libx264', rate=rate)
            output.width, output.height = size
            output.pix_fmt = 'yuv420p'
            output.codec_context.time_base = tick
            output.codec_context.thread_count = 1
            output.options = {'crf': str(job.crf), 'g': str(job.key_frames)}
            last = None
            for number, frame in enumerate(chain([first], frames)):
                frame = upright(frame)
                pts = round(number / rate / tick) if frame.pts is None else frame.pts
                small = frame.reformat(*size, format='yuv420p', interpolation='BICUBIC')
                small.pts = last = pts if last is None else max(pts, last + 1)
                small.time_base = tick
                small.pict_type = PictureType.NONE  # the encoder chooses
                sink.mux(output.encode(small))
            sink.mux(output.encode(None))
    return 'resized'


def plan(args: argparse.Namespace) -> tuple[list[Job], int]:
    """The videos that are yet to be made, and how many there are already."""
    jobs, done = [], 0
    seen: dict[str, str] = {}
    for record in scan_folder(args.source):
        stem, extension = os.path.splitext(record['path'])
        if stem in seen:
            raise ValueError(
                f'{seen[stem]!r} and {record["path"]!r} would become one file: rename one'
            )
        seen[stem] = record['path']
        target = os.path.join(args.target, stem)
        if os.path.exists(target + '.mp4') or os.path.exists(target + extension):
            done += 1
            continue
        source = os.path.join(args.source, record['path'])
        jobs.append(Job(source, target, args.short_side, args.crf, args.key_frames))
    return jobs, done


def parse_args() -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', help='folder of videos, sub-folders included')
    parser.add_argument('target', help='folder to write to')
    parser.add_argument('--short-side', type=positive, default=320, help='pixels (320)')
    parser.add_argument('--crf', type=int, default=21, help='H.264 quality, lower is better (21)')
    parser.add_argument('--key-frames', type=positive, default=60, help='frames between them (60)')
    add_parallel_arguments(parser)
    args = parser.parse_args()
    if args.short_side % 2:
        parser.error(f'--short-side must be even, got {args.short_side}')
    source, target = os.path.realpath(args.source), os.path.realpath(args.target)
    if os.path.commonpath([source, target]) in (source, target):
        parser.error('source and target must not lie in each other')
    return args


def main() -> int:
    """Resize what is missing; 1 if a video failed."""
    args = parse_args()
    jobs, done = plan(args)
    print(f'{len(jobs)} videos to make, {done} are there already')
    counts = {'resized': 0, 'copied': 0}
    failures = []
    for outcome in run_parallel(resize, jobs, args.workers, args.timeout):
        if outcome.error is None:
            counts[outcome.value] += 1
        else:
            failures.append(f'{outcome.task.source}\t{outcome.error}')
    print(f'resized {counts["resized"]}, copied {counts["copied"]}, failed {len(failures)}')
    write_failures(args.target, failures)
    return bool(failures)


if __name__ == '__main__':
    sys.exit(main())
