"""Draw the kinds of masks on a clip, as in the paper's figure.

Without a config the four kinds of the paper; with one the mask of its training pipeline, which
may be a strategy of your own.

examples:
  visualize_masks.py video.mp4
  visualize_masks.py video.mp4 --kinds random tube --ratios 0.75 0.9 --out masks.png
  visualize_masks.py video.mp4 --config configs/ablation/mask_block_75.py
"""

import argparse
import sys
from itertools import product

import numpy as np

from mmmae_st.analysis.pretraining_cost import find_masks
from mmmae_st.apis.reconstruct import MASKS, draw_mask
from mmmae_st.command_line import add_frame_interval, load_config, number, short_errors, tool_parser
from mmmae_st.patching import token_grid
from mmmae_st.visualization import save_png
from mmmae_st.visualization.masks import masks_figure
from mmmae_st.visualization.reconstruction import require_png
from mmmae_st.visualization.sheet import TILE
from mmmae_st.visualization.video_files import read_clip


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__)
    parser.add_argument('video', help='video file')
    parser.add_argument('--kinds', nargs='+', choices=MASKS, default=list(MASKS), help='mask kinds')
    parser.add_argument('--ratios', nargs='+', type=float, default=[0.75], help='mask ratios')
    parser.add_argument('--config', help='draw the mask of this config instead')
    parser.add_argument('--num-frames', type=number(int, 1), default=16, help='frames of the clip')
    parser.add_argument(
        '--size', type=number(int, 1), default=224, help='its height and width in pixels'
    )
    add_frame_interval(parser)
    parser.add_argument('--patch-size', type=number(int, 1), default=16, help='pixels of a patch')
    parser.add_argument('--tubelet-size', type=number(int, 1), default=2, help='frames of a patch')
    parser.add_argument('--seed', type=number(int, 0), default=0, help='seed of the masks')
    parser.add_argument(
        '--tile', type=number(int, 1), default=TILE, help='height of a frame in pixels'
    )
    parser.add_argument('--out', default='masks.png', help='picture to write')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Draw the masks."""
    args = parse_args(argv)
    with short_errors():
        require_png(args.out)
        clip = read_clip(args.video, args.num_frames, args.size, args.frame_interval)
        tubelet_size, patch_size = args.tubelet_size, args.patch_size
        if args.config:
            masking = find_masks(load_config(args.config)).encoder
            tubelet_size, patch_size = masking.tubelet_size, masking.patch_size
        grid = token_grid(clip.shape[:3], tubelet_size, patch_size)
        if args.config:
            ids = masking.draw(grid, np.random.default_rng(args.seed))
            masks = {f'{type(masking).__name__} {masking.ratio:.3g}': ids}
        else:
            masks, left_out = {}, {}
            for kind, ratio in product(args.kinds, args.ratios):
                name = f'{kind} {ratio:.0%}'.replace('%', ' %')
                try:
                    masks[name] = draw_mask(kind, grid, ratio, args.seed)[0]
                except ValueError as error:  # one frame of eight is more than a tenth
                    left_out[name] = error
            if not masks:
                first, error = next(iter(left_out.items()))
                raise ValueError(f'none of these masks can be drawn: {first}: {error}')
            for name, error in left_out.items():
                print(f'left out: {name}: {error}', file=sys.stderr)
        save_png(masks_figure(clip, masks, grid, tile=args.tile), args.out)
        print(args.out)


if __name__ == '__main__':
    main()
