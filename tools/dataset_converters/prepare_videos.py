r"""Prepare videos once, so that clips are read out of them several times faster.

    python tools/dataset_converters/prepare_videos.py data/k400/original data/k400/videos \
        --for configs/mae_st_vitl_k400.py
    python tools/dataset_converters/prepare_videos.py data/k400/original data/k400/videos \
        --short-side 256 --fps 7.5 --sample 20

Writes .mp4 that decodes fast (MPEG-4 or H.264 without B-frames and deblocking, a key frame at least
every 16 frames): a smaller short side, only the frames that clips take, no sound. Folders, the time
of every frame that stays, and colours are kept; rotated videos are turned upright. --for CONFIG
takes size and frame rate from the clips of a config.

Beside the videos come manifest.jsonl, a line a video, and failed.txt with what could not be read
and why. Disk space and time are estimated from the first videos. Run again after an interruption,
it does what is missing. With --sample N, N videos are tried out and nothing is kept. With --shards
FOLDER, the videos are packed into tar files there afterwards, as pack_videos.py does.
"""

import argparse
import os
import sys
import time
from itertools import combinations

from common import (
    add_parallel_arguments,
    list_lines,
    require_apart,
    require_space,
    target_names,
    write_failures,
    write_lines,
)
from encoding import CODECS, FrameFolder, Job, Settings, run
from manifest import Manifest, require_same_settings
from needs import Needs, add_needs_argument, needs_of_config, what_repeats
from packing import pack_folder
from trial import PIPELINE, duration, spread, try_out

from mmmae_st.command_line import number, short_errors, tool_parser
from mmmae_st.datasets.annotations import join_inside, read_list, scan_folder
from mmmae_st.datasets.parallel import run_parallel
from mmmae_st.fileio.atomic_file import require_folder

SHORT_SIDE = 256
MEASURED_FIRST = 16


def parse_args() -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__, defaults=False)
    parser.add_argument('source', help='folder of videos, sub-folders included')
    parser.add_argument('target', help='folder to write to')
    parser.add_argument(
        '--list',
        help='prepare the videos of this list, relative to the source; a list of what was made is '
        'written to the target under the same name',
    )
    add_needs_argument(parser)
    parser.add_argument('--short-side', type=number(int, 1), help=f'pixels ({SHORT_SIDE})')
    parser.add_argument('--fps', type=float, help='frames a second that are kept (all)')
    parser.add_argument(
        '--codec',
        choices=sorted(CODECS),
        default='mpeg4',
        help='how videos are written; mpeg4 (default) decodes fastest, h264 plays everywhere',
    )
    parser.add_argument(
        '--quality',
        type=number(int, 1),
        help='lower is better: quantizer of mpeg4 (4), rate factor of h264 (21)',
    )
    parser.add_argument(
        '--key-frames', type=number(int, 1), default=16, help='frames between them, at most (16)'
    )
    parser.add_argument('--frame-tmpl', help="the source has folders of frames: 'img_{:05}.jpg'")
    parser.add_argument('--frame-fps', type=float, help='frames a second of such folders')
    parser.add_argument('--shards', metavar='FOLDER', help='pack the videos into tar files there')
    parser.add_argument(
        '--sample', type=number(int, 1), metavar='N', help='try N videos out, keep none'
    )
    add_parallel_arguments(parser)
    return parser.parse_args()


def choose_settings(args: argparse.Namespace, needs: Needs | None) -> Settings:
    """Size and rate as given, else those that the config asks for.

    Raises:
        ValueError: They are impossible, or the config asks for more frames than would be kept.
    """
    if args.fps is not None and not args.fps > 0:
        raise ValueError(f'--fps must be > 0, got {args.fps:g}')
    if args.short_side is not None and args.short_side % 2:
        raise ValueError(f'--short-side must be even, got {args.short_side}')
    if (args.frame_tmpl is None) != (args.frame_fps is None):
        raise ValueError('--frame-tmpl and --frame-fps must be given together')
    if args.frame_fps is not None and not args.frame_fps > 0:
        raise ValueError(f'--frame-fps must be > 0, got {args.frame_fps:g}')
    fps, short_side = args.fps, args.short_side or SHORT_SIDE
    if needs is not None:
        if needs.fps is None and fps is not None:
            raise ValueError(
                f'{args.config} takes frames out of segments of a video and needs all of them: '
                'leave out --fps'
            )
        if needs.fps is not None and fps is not None and fps < needs.fps:
            raise ValueError(
                f'{args.config} asks for {needs.fps:g} frames/s, more than --fps {fps:g} keeps: '
                'its clips would repeat frames'
            )
        fps, short_side = fps or needs.fps, args.short_side or needs.short_side
    codec = CODECS[args.codec]
    quality = args.quality or codec.quality
    if quality > codec.worst:
        raise ValueError(
            f'--quality of {args.codec} must be at most {codec.worst}, got {args.quality}'
        )
    return Settings(short_side, fps, args.codec, quality, args.key_frames)


def make(jobs: dict[str, Job], manifest: Manifest, args: argparse.Namespace) -> dict[str, str]:
    """Make videos, those by which the rest is estimated first; returns what failed and why.

    Raises:
        ValueError: The disk has too little space for the rest.
    """
    sources = {job: source for source, job in jobs.items()}
    first = spread(list(sources), MEASURED_FIRST)
    rest = [job for job in sources if job not in set(first)]
    failures: dict[str, str] = {}
    begin = time.monotonic()
    for part in (first, rest):
        for outcome in run_parallel(run, part, args.workers, args.timeout):
            source = sources[outcome.task]
            if outcome.error is not None:
                failures[source] = outcome.error
            else:
                path = os.path.relpath(outcome.task.target, args.target)
                manifest.add(dict(source=source, path=path, **outcome.value))
        if part is first and rest:
            sizes = [record['bytes'] for record in manifest.of(sources[job] for job in first)]
            each = sum(sizes) / max(len(sizes), 1)
            seconds = (time.monotonic() - begin) / len(first)
            bytes_needed = len(rest) * each * (1 + _packs_beside(args))
            needed = require_space(args.target, bytes_needed, f'the other {len(rest)} videos')
            print(f'{needed}, and {duration(len(rest) * seconds)}')
    return failures


def _packs_beside(args: argparse.Namespace) -> bool:
    """Whether tar files with the same videos will come to the same disk."""
    if not args.shards:
        return False
    os.makedirs(args.shards, exist_ok=True)
    return os.stat(args.shards).st_dev == os.stat(args.target).st_dev


def plan(args: argparse.Namespace, settings: Settings) -> tuple[dict[str, dict], dict[str, Job]]:
    """The record and the job of each video, by its path below the source.

    Raises:
        OSError, ValueError: There is no video, or two would be written to one place.
    """
    frame_folders = args.frame_tmpl is not None
    if args.list is None:
        records = scan_folder(args.source, frame_tmpl=args.frame_tmpl)
    else:
        records = read_list(args.list, frame_folders=frame_folders)
    by_source = {records.path(i): record for i, record in enumerate(records)}
    folder = FrameFolder(args.frame_tmpl, args.frame_fps) if frame_folders else None
    jobs = {
        source: Job(
            join_inside(args.source, args.source, source),
            os.path.join(args.target, f'{name}.mp4'),
            settings,
            folder,
        )
        for source, name in target_names(by_source, frame_folders).items()
    }
    return by_source, jobs


def main() -> int:
    """Prepare what is missing; 1 if a video failed."""
    args = parse_args()
    with short_errors():
        needs = needs_of_config(args.config) if args.config else None
        settings = choose_settings(args, needs)
        for one, other in combinations(filter(None, (args.source, args.target, args.shards)), 2):
            require_apart(one, other)
        require_folder(args.target)
        records, jobs = plan(args, settings)
        if args.sample:
            pipeline = needs.pipeline if needs else PIPELINE
            print(try_out(list(jobs.values()), args.sample, args.workers, args.timeout, pipeline))
            return 0

        os.makedirs(args.target, exist_ok=True)
        require_same_settings(args.target, settings)
        manifest = Manifest(args.target)
        missing = {source: job for source, job in jobs.items() if not manifest.holds(source)}
        print(f'{len(missing)} videos to make, {len(jobs) - len(missing)} are there already')
        failures = make(missing, manifest, args)
        manifest.put_in_order({s: r['label'] for s, r in records.items() if 'label' in r})
        if args.list:
            kept = (
                {key: record[key] for key in ('path', 'label') if key in record}
                for record in manifest.of(jobs)
            )
            write_lines(os.path.join(args.target, os.path.basename(args.list)), list_lines(kept))
        print(f'made {len(missing) - len(failures)}, failed {len(failures)}')
        write_failures(args.target, list(failures.items()), len(jobs) - len(failures))
        if args.shards:
            made = args.list and os.path.join(args.target, os.path.basename(args.list))
            pack_folder(args.target, args.shards, made, workers=args.workers)
    for line in what_repeats(needs, ((r['frames'], r['rate']) for r in manifest.of(jobs))):
        print(line)
    return bool(failures)


if __name__ == '__main__':
    sys.exit(main())
