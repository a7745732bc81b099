"""A tour in five stops: load clips, mask one, reconstruct it, see its features, find its like.

Nothing is downloaded. Without --checkpoint six videos are drawn and a very small model is trained
on them first, for half a minute: enough to see each part at work, far from a good model. With a
checkpoint and videos of your own the same stops show what a real one does. demo/tour.ipynb makes
the same stops in a notebook.

examples:
  tour.py
  tour.py --checkpoint mae_st_vitl_k400.pth --videos a.mp4 b.mp4 c.mp4
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import Compose
from torch import Tensor

from mmmae_st.apis.features import (
    class_attention,
    clip_features,
    nearest_neighbours,
    normalised_clips,
    patch_tokens,
    principal_colours,
    similarity,
)
from mmmae_st.apis.inputs import square_size
from mmmae_st.apis.load import load_autoencoder
from mmmae_st.apis.reconstruct import MASKS, draw_mask, restore
from mmmae_st.command_line import short_errors, tool_parser
from mmmae_st.datasets.synthetic.clips import ClipSettings, make_clips
from mmmae_st.datasets.transforms import ClipFlip, ClipRandomResizedCrop, LoadClips
from mmmae_st.models import SpatiotemporalMAE
from mmmae_st.visualization import save_png
from mmmae_st.visualization.masks import masks_figure
from mmmae_st.visualization.reconstruction import restored_figure
from mmmae_st.visualization.sheet import fit_tile, sheet
from mmmae_st.visualization.token_maps import token_maps_figure
from mmmae_st.visualization.video_files import read_clips

NUM_VIDEOS, CLIPS_OF_A_VIDEO = 6, 2
SHOWN = CLIPS_OF_A_VIDEO  # the first clip of the second video
FRAMES, SIZE, PATCH = 8, 64, 8
RATIO, BATCH_SIZE, LEARNING_RATE, WARM_UP = 0.75, 8, 2e-3, 20


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__)
    parser.add_argument('--checkpoint', help='checkpoint of pretraining instead of training one')
    parser.add_argument('--videos', nargs='+', help='videos instead of drawn ones, at least two')
    parser.add_argument(
        '--seconds', type=float, default=25, help="seconds of the processor's time to train"
    )
    parser.add_argument('--frame-interval', type=int, default=4, help='frames from one to the next')
    parser.add_argument('--out', default='tour', help='folder of the pictures')
    return parser.parse_args(argv)


def tiny_model() -> SpatiotemporalMAE:
    """An encoder and a decoder that train in seconds, on pixels."""
    size = dict(img_size=SIZE, num_frames=FRAMES, patch_size=PATCH)
    arch = dict(embed_dims=96, depth=4, num_heads=3)
    decoder = dict(encoder_dims=96, embed_dims=64, depth=2, num_heads=2)
    return SpatiotemporalMAE(
        backbone=dict(type='mmmae_st.SpacetimeViT', arch=arch, **size),
        decoder=dict(type='mmmae_st.MAEDecoder', **decoder, **size),
        head=dict(type='mmmae_st.MAEHead', embed_dims=64, patch_size=PATCH, target='pixels'),
        data_preprocessor=dict(type='mmmae_st.ClipDataPreprocessor'),
    )


def train(model: SpatiotemporalMAE, videos: Sequence[Path], seconds: float) -> None:
    """Pretrain on random clips of the videos, for some seconds of the processor's time."""
    pipeline = Compose(
        [
            LoadClips(clip_len=FRAMES, num_clips=16),  # one decode, 16 clips
            ClipRandomResizedCrop(size=SIZE),
            ClipFlip(),
        ]
    )
    clips = np.concatenate(
        [
            np.asarray(pipeline(dict(path=str(path), sample_key=(0, 0, index)))['clips'])
            for index, path in enumerate(videos)
        ]
    )
    inputs = torch.from_numpy(clips).permute(0, 4, 1, 2, 3)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95))
    rng = np.random.default_rng(0)
    start, step = time.thread_time(), 0
    while step == 0 or time.thread_time() - start < seconds:
        chosen = inputs[rng.integers(len(inputs), size=BATCH_SIZE)]
        seeds = range(step * BATCH_SIZE, (step + 1) * BATCH_SIZE)
        ids = [draw_mask('random', model.backbone.grid, RATIO, seed) for seed in seeds]
        batch = model.data_preprocessor(dict(inputs=[chosen], ids_keep=[torch.cat(ids)]))
        loss = model(**batch, mode='loss')['loss']
        optimizer.param_groups[0]['lr'] = LEARNING_RATE * min(1, (step + 1) / WARM_UP)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step == 0:
            print(f'training for {seconds:g} s on {len(inputs)} clips: loss {loss:.3f}', flush=True)
        step += 1
    print(f'after {step} steps: loss {loss:.3f}')


def neighbours_figure(clips: np.ndarray, names: list[str], found: np.ndarray) -> np.ndarray:
    """Each clip and, right of it, those most like it; the middle frame stands for a clip."""
    middle = clips[:, clips.shape[1] // 2]
    rows = [[fit_tile(middle[i], 96) for i in (index, *best)] for index, best in enumerate(found)]
    half = -(-len(rows) // 2)  # two halves side by side
    blank = np.full_like(rows[0][0], 255)
    right = rows[half:] + [[blank] * len(rows[0])] * (2 * half - len(rows))
    columns = ('clip', *(str(i + 1) for i in range(found.shape[1])))
    return sheet(
        [[*left, blank[:, :24], *other] for left, other in zip(rows[:half], right, strict=True)],
        row_labels=names[:half],
        column_labels=(*columns, '', *columns),
        note='Left of each block a clip, then its nearest neighbours by the encoder.',
    )


def draw_videos(folder: str | Path) -> list[Path]:
    """Draw six videos into a folder."""
    settings = ClipSettings(num_frames=80, height=96, width=128)
    return make_clips(Path(folder), NUM_VIDEOS, settings, workers=1)[0]


def trained_model(videos: Sequence[Path], seconds: float) -> SpatiotemporalMAE:
    """A tiny model, trained on the videos for a while; in eval mode."""
    model = tiny_model()
    train(model, videos, seconds)
    return model.eval()


def load_clips(
    model: SpatiotemporalMAE, videos: Sequence[Path], frame_interval: int = 4
) -> tuple[np.ndarray, list[str]]:
    """Two clips of each video as the model takes them, (N, T, H, W, 3) uint8, and their names."""
    num_frames, size = square_size(model.backbone)
    clips = [read_clips(v, num_frames, size, frame_interval, CLIPS_OF_A_VIDEO) for v in videos]
    names = [f'{v.stem}\nclip {i + 1}' for v in videos for i in range(CLIPS_OF_A_VIDEO)]
    return np.concatenate(clips), names


def masks_picture(model: SpatiotemporalMAE, clip: np.ndarray) -> np.ndarray:
    """What each kind of mask leaves of a clip (T, H, W, 3)."""
    grid = model.backbone.grid
    masks = {f'{kind} 75 %': draw_mask(kind, grid, 0.75)[0] for kind in MASKS}
    return masks_figure(clip, masks, grid)


def features_picture(model: SpatiotemporalMAE, clip: np.ndarray) -> tuple[np.ndarray, Tensor]:
    """Pictures of the features of a clip (T, H, W, 3), and the features (1, t, h, w, D)."""
    inputs = normalised_clips([clip], model.data_preprocessor)
    tokens = patch_tokens(model.backbone, inputs)
    grid = model.backbone.grid
    position = (grid[0] // 2, grid[1] // 2, grid[2] // 2)
    attention = None
    if model.backbone.cls_token is not None:
        attention = class_attention(model.backbone, inputs)[0].numpy()
    likeness = similarity(tokens, position)[0].numpy()
    colours = principal_colours(tokens)[0].numpy()
    return token_maps_figure(clip, likeness, position, colours, attention), tokens


def neighbours_picture(
    model: SpatiotemporalMAE, clips: np.ndarray, names: list[str]
) -> tuple[np.ndarray, int]:
    """Clips beside those most like them, and for how many the nearest is of the same video."""
    tokens = patch_tokens(model.backbone, normalised_clips(list(clips), model.data_preprocessor))
    found, _ = nearest_neighbours(clip_features(tokens), k=min(3, len(clips) - 1))
    owner = torch.arange(len(clips)) // CLIPS_OF_A_VIDEO
    hits = int((owner[found[:, 0]] == owner).sum())
    return neighbours_figure(clips, names, found.numpy()), hits


def main(argv: list[str] | None = None) -> None:
    """Make every stop."""
    args = parse_args(argv)
    with short_errors():
        if args.videos and len(args.videos) < 2:
            raise ValueError('--videos needs at least two: neighbours are looked for')
        out = Path(args.out)
        out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)

        print('1. Load clips')
        videos = [Path(v) for v in args.videos] if args.videos else draw_videos(out / 'videos')
        if args.checkpoint:
            model = load_autoencoder(args.checkpoint)
        else:
            model = trained_model(videos, args.seconds)
        clips, names = load_clips(model, videos, args.frame_interval)
        clip, grid = clips[SHOWN], model.backbone.grid
        count, num_frames, height, width = clips.shape[:4]
        print(f'   {count} clips of {num_frames} frames, {height} x {width} pixels')

        print('2. Mask a clip')
        save_png(masks_picture(model, clip), out / 'masks.png')
        print(
            f'   {out}/masks.png: {grid[0]} x {grid[1]} x {grid[2]} patches, 25 % of them visible'
        )

        print('3. Reconstruct it')
        restored = [restore(model, clip, ratio=ratio) for ratio in (0.75, 0.9)]
        save_png(restored_figure(restored), out / 'reconstruction.png')
        for result in restored:
            print(f'   {out}/reconstruction.png: {result.label}: PSNR {result.psnr:.1f} dB')

        print('4. Features of every patch')
        picture, tokens = features_picture(model, clip)
        save_png(picture, out / 'features.png')
        print(f'   {out}/features.png: {tuple(tokens.shape[1:])} for each clip')

        print('5. Nearest neighbours')
        picture, hits = neighbours_picture(model, clips, names)
        save_png(picture, out / 'neighbours.png')
        print(
            f'   {out}/neighbours.png: for {hits} of {count} clips the nearest one is the '
            'other clip of the same video'
        )


if __name__ == '__main__':
    main()
