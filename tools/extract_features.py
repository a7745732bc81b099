"""Features of videos by a frozen encoder: one vector for each, no labels needed.

Writes an .npz file with `features` (videos, width) float32, the mean over the views of a video,
and `paths`; where the list has labels, `labels` as well. A video that cannot be read has NaN.

With --stride one feature for each window of a video of any length, as localisation takes them: a
folder with a matrix (windows, width) float16 of each video. Run again after an interruption, it
does what is missing.

examples:
  extract_features.py work_dirs/mae_st_vitb_k400/epoch_200.pth /path/to/clips --out features.npz
  extract_features.py CHECKPOINT list.txt --data-root /path/to/clips --views 4
  extract_features.py CHECKPOINT /path/to/films --stride 16 --out features --processes 4
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

import numpy as np
from mmengine.config import Config

from mmmae_st import FeatureInferencer, LongFeatureInferencer
from mmmae_st.apis.feature_folder import SUFFIXES
from mmmae_st.command_line import (
    add_amp_options,
    add_frame_interval,
    load_config,
    number,
    short_errors,
    tool_parser,
)
from mmmae_st.datasets import VideoDataset
from mmmae_st.datasets.annotations import VIDEO_EXTENSIONS
from mmmae_st.engine.runner.quiet import quieten_warnings
from mmmae_st.fileio.atomic_file import require_writable, written_whole


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint with an encoder')
    parser.add_argument('videos', help='folder of videos, a video, or a list of paths')
    parser.add_argument('--data-root', default='', help='folder that paths of the list begin at')
    parser.add_argument(
        '--out', help='file to write (features.npz), or with --stride the folder (features)'
    )
    parser.add_argument(
        '--config', help='config of the checkpoint, where the checkpoint does not hold it'
    )
    parser.add_argument(
        '--layer', type=int, default=-1, help='block of the encoder; -1 is the last'
    )
    parser.add_argument(
        '--views', type=number(int, 1), default=1, help='clips spread over each video'
    )
    add_frame_interval(parser)
    parser.add_argument(
        '--batch-size', type=number(int, 1), default=8, help='videos, or windows, at a time'
    )
    parser.add_argument('--workers', type=number(int, 0), default=4, help='processes that decode')
    parser.add_argument('--device', help='where to compute; a GPU if there is one')
    add_amp_options(parser)
    windows = parser.add_argument_group('windows')
    windows.add_argument(
        '--stride',
        type=number(float, 0, above=True),
        metavar='FRAMES',
        help='from one to the next, at 30 a second',
    )
    windows.add_argument('--spatial', action='store_true', help='maps instead of vectors')
    windows.add_argument('--suffix', choices=SUFFIXES, default='.npy', help='kind of files')
    windows.add_argument('--processes', type=number(int, 1), default=1, help='videos at a time')
    args = parser.parse_args(argv)
    if args.stride is not None and args.views != 1:
        parser.error(f'--views goes without --stride, got {args.views}')
    args.out = args.out or ('features.npz' if args.stride is None else 'features')
    return args


def is_video(path: str) -> bool:
    """Whether it is a video by its name."""
    return os.path.isfile(path) and path.lower().endswith(VIDEO_EXTENSIONS)


def list_videos(videos: str, data_root: str) -> tuple[list[str], dict[str, np.ndarray]]:
    """Paths of a folder or a list, and ``labels`` where the list has them; one video is itself."""
    if is_video(videos):
        return [videos], {}
    is_folder = os.path.isdir(videos)
    if not is_folder and not os.path.isfile(videos):
        raise FileNotFoundError(f'{videos} is no folder of videos, no video and no list of paths')
    dataset = VideoDataset(
        ann_file='' if is_folder else os.path.abspath(videos),
        data_root=videos if is_folder else data_root,
    )
    records = [dataset.get_data_info(index) for index in range(len(dataset))]
    labels = [record['label'] for record in records if 'label' in record]
    return [record['path'] for record in records], dict(labels=np.array(labels)) if labels else {}


def require_some(found: Sequence[Mapping], failed: Sequence[Mapping]) -> None:
    """Raise ValueError if all have failed; says why of the first."""
    if len(failed) == len(found):
        first = f'{failed[0]["path"]}: {failed[0]["error"]}'
        raise ValueError(f'none of {len(found)} videos can be read, the first: {first}')


def extract_videos(args: argparse.Namespace, config: Config | None) -> None:
    """One feature for each video, in one file."""
    require_writable(args.out)
    paths, labels = list_videos(args.videos, args.data_root)
    inferencer = FeatureInferencer(
        args.checkpoint,
        config,
        device=args.device,
        layer=args.layer,
        views=args.views,
        frame_interval=args.frame_interval,
        amp=args.amp,
    )
    found = inferencer(paths, args.batch_size, args.workers)
    require_some(found, [video for video in found if video['error'] is not None])
    features = np.stack([video['features'] for video in found])
    with written_whole(args.out) as temporary, temporary.open('wb') as file:
        np.savez(file, features=features, paths=np.array(paths), **labels)
    for video in found:
        if video['error'] is not None:
            print(f'cannot read {video["path"]}: {video["error"]}', file=sys.stderr)
    print(f'{args.out}: features {features.shape} of {len(paths)} videos')


def extract_windows(args: argparse.Namespace, config: Config | None) -> None:
    """Features all along each video, in a file each."""
    # A folder as it is: its sub-folders are kept in the names.
    videos = args.videos
    if not os.path.isdir(videos) and not is_video(videos):
        videos, _ = list_videos(args.videos, args.data_root)
    inferencer = LongFeatureInferencer(
        args.checkpoint,
        config,
        device=args.device,
        output='spatial' if args.spatial else 'pooled',
        layer=args.layer,
        stride=args.stride,
        frame_interval=args.frame_interval,
        amp=args.amp,
    )
    found = inferencer(
        videos, args.batch_size, args.out, suffix=args.suffix, num_processes=args.processes
    )
    require_some(found, [video for video in found if video['file'] is None])
    for video in found:
        if video['error'] is not None:
            what = 'cannot read' if video['file'] is None else 'not to its end'
            print(f'{what}: {video["path"]}: {video["error"]}', file=sys.stderr)
    read = sum(video['file'] is not None for video in found)
    print(f'{args.out}: features of {read} of {len(found)} videos')


def main(argv: list[str] | None = None) -> None:
    """Extract and write."""
    args = parse_args(argv)
    quieten_warnings()
    with short_errors():
        config = load_config(args.config) if args.config else None
        if args.stride is None:
            extract_videos(args, config)
        else:
            extract_windows(args, config)


if __name__ == '__main__':
    main()
