"""How much of a clip a masked patch can be guessed from: for real videos and for drawn ones.

    python projects/motion_benchmark/redundancy.py FOLDER --size 224 --patch-size 16 --interval 4

Masked autoencoders live on it, so drawn clips should have about as much of it as real ones.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmmae_st.datasets.readers import open_video

VIDEOS = ('.avi', '.mkv', '.mov', '.mp4', '.webm')


def clip_redundancy(frames: np.ndarray, patch_size: int) -> dict[str, float]:
    """Squared errors of simple guesses, over the error of guessing the clip's mean colour.

    Args:
        frames: (T, H, W, 3) uint8 RGB, T at least 3.
        patch_size: Divides H and W.

    Returns:
        ``patch``: each patch of a frame by its own mean colour. ``copy1`` and ``copy2``: each
        frame by that one and two before it. NaN where all pixels are equal.

    Raises:
        ValueError: If there are too few frames or the patches do not fit.
    """
    length, height, width, _ = frames.shape
    if length < 3:
        raise ValueError(f'frames must be at least 3, got {length}')
    if patch_size < 1 or height % patch_size or width % patch_size:
        raise ValueError(f'patch_size must divide {height}x{width}, got {patch_size}')
    clip = frames.astype(np.float64)
    rows, columns = height // patch_size, width // patch_size
    patches = clip.reshape(length, rows, patch_size, columns, patch_size, 3)
    errors = dict(
        patch=patches - patches.mean(axis=(2, 4), keepdims=True),
        copy1=clip[1:] - clip[:-1],
        copy2=clip[2:] - clip[:-2],
    )
    whole = np.square(clip - clip.mean(axis=(0, 1, 2))).mean()
    return {
        name: float(np.square(error).mean() / whole) if whole else float('nan')
        for name, error in errors.items()
    }


def read_square(path: Path, clip_len: int, interval: int, size: int) -> np.ndarray:
    """The middle of a video: ``clip_len`` frames, central square, (T, size, size, 3) uint8."""
    with open_video(str(path), 'pyav', None, None) as reader:
        start = max((reader.num_frames - clip_len * interval) // 2, 0)
        inds = [min(start + interval * i, reader.num_frames - 1) for i in range(clip_len)]
        found = reader.read(sorted(set(inds)))
    height, width = found[inds[0]].shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return np.stack(
        [
            cv2.resize(
                found[i][top : top + side, left : left + side],
                (size, size),
                interpolation=cv2.INTER_AREA,
            )
            for i in inds
        ]
    )


def main() -> None:
    """Print a line for the mean and spread over the videos of a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path, help='of videos, and folders below')
    parser.add_argument('--size', type=int, required=True, help='of what the model sees')
    parser.add_argument('--patch-size', type=int, required=True)
    parser.add_argument('--interval', type=int, default=1, help='frames from one to the next')
    parser.add_argument('--clip-len', type=int, default=16)
    parser.add_argument('--most', type=int, default=200, help='videos that are looked at')
    args = parser.parse_args()
    paths = sorted(p for p in args.folder.rglob('*') if p.suffix.lower() in VIDEOS)[: args.most]
    if not paths:
        raise SystemExit(f'folder must hold videos ({", ".join(VIDEOS)}), {args.folder} has none')
    found = [
        clip_redundancy(read_square(path, args.clip_len, args.interval, args.size), args.patch_size)
        for path in paths
    ]
    print(f'{len(paths)} videos, share of the variance of a clip that is left')
    for name, text in (
        ('patch', 'patches by their mean colour'),
        ('copy1', 'frames by the one before'),
        ('copy2', 'frames by the one two before'),
    ):
        values = np.array([one[name] for one in found])
        print(f'  {text:<30} {np.nanmean(values):.2f} ± {np.nanstd(values):.2f}')


if __name__ == '__main__':
    main()
