"""Features of videos by a frozen encoder: one vector for each, no labels needed.

Writes an .npz file with `features` (videos, width) float32, the mean over the views of a video,
and `paths`; where the list has labels, `labels` as well. A video that cannot be read has NaN.

examples:
  extract_features.py work_dirs/mae_st_vitb_k400/epoch_200.pth /path/to/clips --out features.npz
  extract_features.py CHECKPOINT list.txt --data-root /path/to/clips --views 4
"""

import argparse
import os
import sys

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader
from tqdm import tqdm

from mmmae_st.analysis.cost import clip_size
from mmmae_st.apis.export import ExportedEncoder
from mmmae_st.apis.load import load_encoder
from mmmae_st.command_line import load_config, short_errors, tool_parser
from mmmae_st.datasets import EpochSampler, VideoDataset
from mmmae_st.datasets.transforms import ClipCenterCrop, ClipResize, LoadClips, PackClips


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint with an encoder')
    parser.add_argument('videos', help='folder of videos, or a list of paths')
    parser.add_argument('--data-root', default='', help='folder that paths of the list begin at')
    parser.add_argument('--out', default='features.npz', metavar='FILE.npz', help='file to write')
    parser.add_argument(
        '--config', help='config of the checkpoint, where the checkpoint does not hold it'
    )
    parser.add_argument('--views', type=int, default=1, help='clips spread over each video')
    parser.add_argument(
        '--frame-interval', type=int, default=4, help='frames from one to the next, at 30 a second'
    )
    parser.add_argument('--batch-size', type=int, default=8, help='videos at a time')
    parser.add_argument('--workers', type=int, default=4, help='processes that decode')
    parser.add_argument(
        '--device', default='cuda' if torch.cuda.is_available() else 'cpu', help='where to compute'
    )
    return parser.parse_args(argv)


def make_loader(args: argparse.Namespace, num_frames: int, size: int) -> DataLoader:
    """Each video once, in order, with its views."""
    is_folder = os.path.isdir(args.videos)
    dataset = VideoDataset(
        ann_file='' if is_folder else os.path.abspath(args.videos),
        data_root=args.videos if is_folder else args.data_root,
        pipeline=[
            LoadClips(num_frames, args.frame_interval, args.views, sampling='uniform'),
            ClipResize(short_side=size),
            ClipCenterCrop(size),
            PackClips(),
        ],
    )
    return DataLoader(
        dataset,
        args.batch_size,
        sampler=EpochSampler(dataset, shuffle=False),
        num_workers=args.workers,
        collate_fn=pseudo_collate,
    )


@torch.inference_mode()
def extract(model: ExportedEncoder, loader: DataLoader, device: str) -> np.ndarray:
    """Features (N, D) float32."""
    rows = []
    for batch in tqdm(loader, desc='features', unit='batch', disable=None):
        views = len(batch['inputs'][0])
        features = model(torch.cat(batch['inputs']).to(device)).unflatten(0, (-1, views)).mean(1)
        for feature, sample in zip(features.float().cpu(), batch['data_samples'], strict=True):
            if sample.failures:  # what was read in its place is another video
                path, cause = sample.failures[0]
                print(f'cannot read {path}: {cause}', file=sys.stderr)
                feature = torch.full_like(feature, torch.nan)
            rows.append(feature.numpy())
    return np.stack(rows)


def main(argv: list[str] | None = None) -> None:
    """Extract and write."""
    args = parse_args(argv)
    with short_errors():
        config = load_config(args.config) if args.config else None
        encoder, preprocessor = load_encoder(args.checkpoint, config)
        num_frames, height, width = clip_size(encoder)
        if height != width:
            raise ValueError(f'the encoder takes clips of {height} x {width}, not squares')
        model = ExportedEncoder(encoder, preprocessor, 'pooled').to(args.device).eval()
        loader = make_loader(args, num_frames, height)
        records = [loader.dataset.get_data_info(index) for index in range(len(loader.dataset))]
        found = dict(
            features=extract(model, loader, args.device),
            paths=np.array([record['path'] for record in records]),
        )
        if 'label' in records[0]:
            found['labels'] = np.array([record['label'] for record in records])
        np.savez(args.out, **found)
        print(f'{args.out}: features {found["features"].shape} of {len(records)} videos')


if __name__ == '__main__':
    main()
