"""Draw what a pretrained model reconstructs of videos, as PNG, GIF and MP4.

Takes the central clip of each video and masks it with every kind and ratio asked for. Each
picture says where brightness and contrast come from: models trained on normalised patches do not
predict them. The errors of all patches go to a JSON file beside the pictures.

examples:
  visualize_reconstruction.py work_dirs/mae_st_vitl_k400/epoch_200.pth video.mp4
  visualize_reconstruction.py CHECKPOINT a.mp4 b.mp4 --ratios 0.75 0.9 0.95 --formats png gif
  visualize_reconstruction.py CHECKPOINT a.mp4 --masks random tube block --statistics neighbours
"""

import argparse

from mmmae_st import ReconstructionInferencer
from mmmae_st.apis.reconstruct import MASKS, STATISTICS
from mmmae_st.apis.reconstruction_inferencer import FORMATS
from mmmae_st.command_line import (
    add_frame_interval,
    exit_with_failures,
    load_config,
    number,
    short_errors,
    tool_parser,
)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint of pretraining, ours or an official one')
    parser.add_argument('videos', nargs='+', metavar='VIDEO', help='video files')
    parser.add_argument(
        '--config', help='config of the checkpoint, where the checkpoint does not hold it'
    )
    parser.add_argument('--out-dir', default='reconstructions', help='where the files go')
    parser.add_argument('--formats', nargs='+', choices=FORMATS, default=['png'], help='files')
    parser.add_argument('--masks', nargs='+', choices=MASKS, default=['random'], help='mask kinds')
    parser.add_argument('--ratios', nargs='+', type=float, default=[0.9], help='mask ratios')
    parser.add_argument(
        '--statistics',
        choices=STATISTICS,
        default='true',
        help='normalised targets: mean and deviation of a predicted patch are those of the true '
        'patch, or of the visible patches around it',
    )
    parser.add_argument(
        '--no-paste', action='store_true', help='show visible patches as decoded, not as they are'
    )
    add_frame_interval(parser)
    parser.add_argument(
        '--fps', type=number(int, 1), default=6, help='frames per second of GIF and MP4'
    )
    parser.add_argument('--seed', type=number(int, 0), default=0, help='seed of the masks')
    parser.add_argument('--device', default='cpu', help="'cpu' or 'cuda'")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Draw every video."""
    args = parse_args(argv)
    with short_errors():
        inferencer = ReconstructionInferencer(
            args.checkpoint,
            load_config(args.config) if args.config else None,
            device=args.device,
            masks=args.masks,
            ratios=args.ratios,
            seed=args.seed,
            statistics=args.statistics,
            paste=not args.no_paste,
            frame_interval=args.frame_interval,
        )
        found = inferencer(args.videos, out_dir=args.out_dir, formats=args.formats, fps=args.fps)
    for video in found:
        for result in video['results']:
            print(
                f'{video["name"]}: {result.label}: loss {result.loss:.4f}, '
                f'PSNR {result.psnr:.2f} dB'
            )
    exit_with_failures(found)


if __name__ == '__main__':
    main()
