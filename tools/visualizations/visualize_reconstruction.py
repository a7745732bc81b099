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
import json
from pathlib import Path

from mmmae_st.analysis.cost import clip_size
from mmmae_st.apis.load import load_autoencoder
from mmmae_st.apis.reconstruct import MASKS, STATISTICS, restore
from mmmae_st.command_line import load_config, picture_names, short_errors, tool_parser
from mmmae_st.visualization import save_png
from mmmae_st.visualization.reconstruction import Restored, restored_figure, restored_frames
from mmmae_st.visualization.video_files import read_clip, save_gif, save_mp4

FORMATS = ('png', 'gif', 'mp4')


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
    parser.add_argument(
        '--frame-interval', type=int, default=4, help='frames from one to the next, at 30 a second'
    )
    parser.add_argument('--fps', type=int, default=6, help='frames per second of GIF and MP4')
    parser.add_argument('--seed', type=int, default=0, help='seed of the masks')
    parser.add_argument('--device', default='cpu', help="'cpu' or 'cuda'")
    return parser.parse_args(argv)


def write_numbers(path: Path, results: list[Restored]) -> None:
    """Write losses and the error of each patch; visible patches are null."""
    report = [
        dict(
            mask=result.label,
            loss=result.loss,
            psnr=result.psnr,
            patch_errors=[
                [[None if error != error else round(float(error), 5) for error in row] for row in s]
                for s in result.error
            ],
        )
        for result in results
    ]
    path.write_text(json.dumps(report))


def main(argv: list[str] | None = None) -> None:
    """Draw every video."""
    args = parse_args(argv)
    with short_errors():
        config = load_config(args.config) if args.config else None
        model = load_autoencoder(args.checkpoint, config).to(args.device)
        num_frames, height, width = clip_size(model.backbone)
        if height != width:
            raise ValueError(f'the model takes clips of {height} x {width}; only squares are drawn')
        out = Path(args.out_dir)
        out.mkdir(parents=True, exist_ok=True)
        for video, name in zip(args.videos, picture_names(args.videos), strict=True):
            clip = read_clip(video, num_frames, height, args.frame_interval)
            results = [
                restore(model, clip, mask, ratio, args.seed, args.statistics, not args.no_paste)
                for mask in args.masks
                for ratio in args.ratios
            ]
            if 'png' in args.formats:
                save_png(restored_figure(results), out / f'{name}.png')
            if 'gif' in args.formats:
                save_gif(out / f'{name}.gif', restored_frames(results), args.fps)
            if 'mp4' in args.formats:
                save_mp4(out / f'{name}.mp4', restored_frames(results), args.fps)
            write_numbers(out / f'{name}.json', results)
            for result in results:
                print(
                    f'{name}: {result.label}: loss {result.loss:.4f}, PSNR {result.psnr:.2f} dB',
                    flush=True,
                )


if __name__ == '__main__':
    main()
