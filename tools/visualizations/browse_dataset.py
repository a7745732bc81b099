"""Draw what the model gets: samples after augmentation, with their masks, as contact sheets.

Writes one PNG for each sample: a row for each view of the video, and below it what the mask
leaves visible. Boxes of detection are drawn. Mixing of samples (mixup, cutmix) happens later, in
the preprocessor of the model, and is not shown.

examples:
  browse_dataset.py configs/mae_st_vitl_k400.py
  browse_dataset.py configs/finetune/vitl_k400.py --split test --num 2 --epoch 3
"""

import argparse
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from mmmae_st.command_line import (
    add_config_options,
    load_config,
    number,
    short_errors,
    tool_parser,
)
from mmmae_st.datasets import MixedVideoDataset, VideoDataset
from mmmae_st.engine.runner.launch import prepare_runtime
from mmmae_st.visualization import save_png
from mmmae_st.visualization.samples import sample_figure
from mmmae_st.visualization.sheet import TILE


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--split', choices=('train', 'val', 'test'), default='train', help='which')
    parser.add_argument('--num', type=number(int, 1), default=4, help='samples to draw')
    parser.add_argument(
        '--start', type=number(int, 0), default=0, help='number of the first sample'
    )
    parser.add_argument(
        '--epoch', type=number(int, 0), default=0, help='epoch whose random draws are shown'
    )
    parser.add_argument(
        '--frames', type=number(int, 1), default=8, help='frames of a clip to show at most'
    )
    parser.add_argument(
        '--tile', type=number(int, 1), default=TILE, help='height of a frame in pixels'
    )
    parser.add_argument('--out-dir', default='samples', help='where the pictures go')
    add_config_options(parser)
    return parser.parse_args(argv)


def build_dataset(cfg: Config, split: str) -> VideoDataset:
    """The dataset of a split, as training and testing build it."""
    loader = cfg.get(f'{split}_dataloader')
    if loader is None:
        raise ValueError(f'the config has no {split}_dataloader')
    prepare_runtime(cfg)
    init_default_scope(cfg.get('default_scope', 'mmmae_st'))
    return DATASETS.build(loader.dataset)


def main(argv: list[str] | None = None) -> None:
    """Draw samples."""
    args = parse_args(argv)
    with short_errors():
        dataset = build_dataset(load_config(args.config, args.cfg_options), args.split)
        end = min(args.start + args.num, len(dataset))
        if args.start >= end:
            raise ValueError(f'--start must be in [0, {len(dataset) - 1}], got {args.start}')
        out = Path(args.out_dir)
        out.mkdir(parents=True, exist_ok=True)
        for index in range(args.start, end):
            ours = isinstance(dataset, VideoDataset | MixedVideoDataset)
            sample = dataset[(args.epoch, index)] if ours else dataset[index]
            path = out / f'{args.split}_{index:05}.png'
            save_png(sample_figure(sample, args.frames, args.tile), path)
            print(path, flush=True)


if __name__ == '__main__':
    main()
