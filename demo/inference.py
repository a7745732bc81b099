"""Name the action in a video: the best classes with probabilities, as text and as a picture.

python demo/inference.py VIDEO configs/finetune/vitl_k400.py CHECKPOINT --labels labels.txt
"""

import argparse
from pathlib import Path

from mmmae_st import ActionInferencer
from mmmae_st.command_line import add_config_options, load_config, short_errors
from mmmae_st.datasets import VideoReadError
from mmmae_st.visualization import save_png


def parse_args() -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('video', help='video file')
    parser.add_argument('config', help='config of a recogniser')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('--labels', metavar='FILE', help='class names, one a line, in order')
    parser.add_argument('--out', metavar='FILE.png', help='picture; VIDEO_actions.png by default')
    parser.add_argument('--top', type=int, default=5, help='classes to show (5)')
    parser.add_argument('--device', help='cuda if there is one, else cpu')
    add_config_options(parser)
    return parser.parse_args()


def main() -> None:
    """Predict, print and draw."""
    args = parse_args()
    out = Path(args.out or f'{Path(args.video).with_suffix("")}_actions.png')
    with short_errors():
        cfg = load_config(args.config, args.cfg_options)
        inferencer = ActionInferencer(args.checkpoint, cfg, args.labels, args.device, args.top)
        (found,) = inferencer(args.video, return_vis=True)
        if found['error'] is not None:
            raise VideoReadError(f'cannot read {args.video}: {found["error"]}')
        save_png(found['picture'], out)
    for name, probability in found['best']:
        print(f'{probability:>8.2%}  {name}')
    print(f'picture: {out}')


if __name__ == '__main__':
    main()
