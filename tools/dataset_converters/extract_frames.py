r"""Write videos as folders of JPEG frames at a fixed rate, which is how AVA is read.

    python tools/dataset_converters/extract_frames.py data/ava/videos data/ava/rawframes \
        --start 900 --stop 1801

Frame n of a folder, ``img_00001.jpg`` being the first, shows the video at ``start + (n - 1) / fps``
seconds. Videos of another frame rate have frames repeated or left out. Folders appear when they
are complete; run again after an interruption, it does what is missing.
"""

import argparse
import math
import os
import sys
from dataclasses import dataclass

import cv2
from common import (
    add_parallel_arguments,
    require_apart,
    target_names,
    write_failures,
    written_whole,
)
from decoding import Scaler, new_size, pictures, upright_size, with_ends

from mmmae_st.command_line import number, short_errors, tool_parser
from mmmae_st.datasets.annotations import scan_folder
from mmmae_st.datasets.parallel import run_parallel
from mmmae_st.fileio.atomic_file import require_folder

NAME = 'img_{:05d}.jpg'


@dataclass(frozen=True)
class Job:
    """One video to write as frames."""

    source: str
    target: str
    short_side: int
    fps: float
    start: float
    stop: float
    quality: int


def extract(job: Job) -> int:
    """Write the frames of one video; returns their number.

    Raises:
        OSError, ValueError, VideoReadError: The video cannot be read, or ends before ``start``.
    """
    count = 0
    scaler = Scaler()
    with written_whole(job.target) as partial:
        os.makedirs(partial)
        for (_, frame), end in with_ends(pictures(job.source, job.start)):
            # The slack keeps rounded times from repeating one frame and dropping the next.
            until = min(math.ceil((float(end) - job.start) * job.fps - 0.01), _wanted(job))
            if count < until:
                size = new_size(*upright_size(frame), job.short_side)
                pixels = scaler.rgb(frame, *size, order='bgr24')
                jpeg = cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, job.quality])[1]
            while count < until:
                count += 1
                with open(os.path.join(partial, NAME.format(count)), 'wb') as file:
                    file.write(jpeg.tobytes())
            if count >= _wanted(job):
                break
        if count == 0:
            raise ValueError(f'has no frame after {job.start:g} seconds')
    return count


def _wanted(job: Job) -> float:
    return math.inf if math.isinf(job.stop) else round((job.stop - job.start) * job.fps)


def parse_args() -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__, defaults=False)
    parser.add_argument('source', help='folder of videos, sub-folders included')
    parser.add_argument('target', help='folder to write to')
    parser.add_argument('--short-side', type=number(int, 1), default=256, help='pixels (256)')
    parser.add_argument(
        '--fps', type=number(float, 0, above=True), default=30, help='frames per second (30)'
    )
    parser.add_argument('--start', type=number(float, 0), default=0, help='seconds (0)')
    parser.add_argument('--stop', type=float, default=math.inf, help='seconds (the end)')
    parser.add_argument(
        '--quality', type=number(int, 1, 100), default=95, help='of the JPEG files (95)'
    )
    add_parallel_arguments(parser)
    args = parser.parse_args()
    if not args.start < args.stop:
        parser.error(f'--start must be before --stop, got {args.start:g} and {args.stop:g}')
    return args


def main() -> int:
    """Extract what is missing; 1 if a video failed."""
    args = parse_args()
    jobs, done = [], 0
    with short_errors():
        require_apart(args.source, args.target)
        require_folder(args.target)
        names = target_names(record['path'] for record in scan_folder(args.source))
    size = (args.short_side, args.fps, args.start, args.stop, args.quality)
    for path, name in names.items():
        target = os.path.join(args.target, name)
        if os.path.isdir(target):
            done += 1
        else:
            jobs.append(Job(os.path.join(args.source, path), target, *size))
    print(f'{len(jobs)} videos to write as frames, {done} are there already')
    frames, failures = 0, []
    for outcome in run_parallel(extract, jobs, args.workers, args.timeout):
        if outcome.error is None:
            frames += outcome.value
        else:
            failures.append((outcome.task.source, outcome.error))
    print(f'{frames} frames of {len(jobs) - len(failures)} videos, failed {len(failures)}')
    with short_errors():
        write_failures(args.target, failures, len(names) - len(failures))
    return bool(failures)


if __name__ == '__main__':
    sys.exit(main())
