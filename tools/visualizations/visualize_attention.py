"""Draw what the tokens of an encoder tell about videos.

One PNG for each video: the clip; the three main directions of its features as colours; the
similarity of all patches to a marked one; the attention of the class token in one block. Takes
checkpoints of pretraining, recognisers and detectors, ours and others'.

examples:
  visualize_attention.py work_dirs/mae_st_vitl_k400/epoch_200.pth video.mp4
  visualize_attention.py CHECKPOINT video.mp4 --position 3 7 7 --block 11
"""

import argparse
from pathlib import Path

from mmmae_st.apis.features import (
    class_attention,
    normalised_clips,
    patch_tokens,
    principal_colours,
    similarity,
)
from mmmae_st.apis.inputs import find_inputs, square_size, to_cuda_if_any
from mmmae_st.apis.load import load_encoder
from mmmae_st.command_line import add_frame_interval, load_config, number, short_errors, tool_parser
from mmmae_st.visualization import save_png
from mmmae_st.visualization.sheet import TILE
from mmmae_st.visualization.token_maps import token_maps_figure
from mmmae_st.visualization.video_files import read_clip


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint with an encoder')
    parser.add_argument('videos', nargs='+', metavar='VIDEO', help='video files')
    parser.add_argument(
        '--config', help='config of the checkpoint, where the checkpoint does not hold it'
    )
    parser.add_argument('--out-dir', default='token_maps', help='where the pictures go')
    parser.add_argument(
        '--position',
        nargs=3,
        type=int,
        metavar=('T', 'H', 'W'),
        help='patch to compare with, from 0; by default the central one',
    )
    parser.add_argument(
        '--block', type=int, default=-1, help='block of the attention; -1 is the last'
    )
    add_frame_interval(parser)
    parser.add_argument(
        '--tile', type=number(int, 1), default=TILE, help='height of a frame in pixels'
    )
    parser.add_argument('--device', default='cpu', help="'cpu' or 'cuda'")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Draw every video."""
    args = parse_args(argv)
    with short_errors():
        device = to_cuda_if_any(args.device)
        config = load_config(args.config) if args.config else None
        encoder, preprocessor = load_encoder(args.checkpoint, config)
        encoder, preprocessor = encoder.to(device), preprocessor.to(device)
        num_frames, size = square_size(encoder)
        position = tuple(args.position or (side // 2 for side in encoder.grid))
        out = Path(args.out_dir)
        for video in find_inputs(args.videos):
            clip = read_clip(video.path, num_frames, size, args.frame_interval)
            inputs = normalised_clips([clip], preprocessor)
            tokens = patch_tokens(encoder, inputs)
            attention = None
            if encoder.cls_token is not None:
                attention = class_attention(encoder, inputs, args.block)[0].cpu().numpy()
            picture = token_maps_figure(
                clip,
                similarity(tokens, position)[0].cpu().numpy(),
                position,
                principal_colours(tokens)[0].cpu().numpy(),
                attention,
                tile=args.tile,
            )
            path = out / f'{video.name}.png'
            save_png(picture, path)
            print(path, flush=True)


if __name__ == '__main__':
    main()
