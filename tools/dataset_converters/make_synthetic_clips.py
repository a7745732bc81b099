"""Make a set of synthetic H.264 clips: textured scenes in motion, the same for the same seed.

A set that was interrupted is gone on with; one that is complete is left as it is.
"""

import argparse

from mmmae_st.command_line import short_errors, tool_parser
from mmmae_st.datasets.synthetic.clips import ClipSettings, make_clips
from mmmae_st.datasets.synthetic.scenes import TEXTURES
from mmmae_st.fileio.atomic_file import require_folder


def parse_args() -> argparse.Namespace:
    """Command line; see ``--help``."""
    default = ClipSettings()
    parser = tool_parser(__doc__)
    parser.add_argument('folder', help='where the clips go; made when absent')
    parser.add_argument('--num-clips', type=int, default=240, help='size of the set')
    parser.add_argument('--seed', type=int, default=default.seed, help='seed of the set')
    parser.add_argument('--num-frames', type=int, default=default.num_frames, help='per clip')
    parser.add_argument('--height', type=int, default=default.height, help='pixels')
    parser.add_argument('--width', type=int, default=default.width, help='pixels')
    parser.add_argument('--fps', type=int, default=default.fps, help='frames per second')
    parser.add_argument(
        '--textures', nargs='+', default=TEXTURES, metavar='NAME', help='photographs to draw with'
    )
    parser.add_argument('--workers', type=int, help='processes; as many as CPUs when not given')
    return parser.parse_args()


def main() -> None:
    """Make the clips and say how many."""
    args = parse_args()
    with short_errors():
        require_folder(args.folder)
        settings = ClipSettings(
            seed=args.seed,
            num_frames=args.num_frames,
            height=args.height,
            width=args.width,
            fps=args.fps,
            textures=tuple(args.textures),
        )
        paths, made = make_clips(args.folder, args.num_clips, settings, args.workers)
    print(f'{len(paths)} clips in {args.folder}: {made} made now, {len(paths) - made} were there')


if __name__ == '__main__':
    main()
