"""Clips in, moving pictures out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.dataset import Compose
from PIL import Image

from mmmae_st.datasets import VideoReadError
from mmmae_st.datasets.transforms import ClipCenterCrop, ClipResize, LoadClips
from mmmae_st.fileio.video_writer import write_video


def read_clip(path: str | Path, num_frames: int, size: int, frame_interval: int = 4) -> np.ndarray:
    """The central clip of a video, its central square: uint8 RGB (T, H, W, 3).

    See :func:`read_clips`.
    """
    return read_clips(path, num_frames, size, frame_interval, num_clips=1)[0]


def read_clips(
    path: str | Path, num_frames: int, size: int, frame_interval: int = 4, num_clips: int = 2
) -> np.ndarray:
    """Clips spread evenly over a video, their central squares.

    Args:
        path: Video file.
        num_frames: Frames T of a clip.
        size: Height and width in pixels.
        frame_interval: Frames from one to the next, at 30 frames per second.
        num_clips: Number R of clips; a single one is the central one.

    Returns:
        uint8 RGB (R, T, H, W, 3).

    Raises:
        VideoReadError: If the video cannot be read.
        ValueError: If a number is out of range.
    """
    load = LoadClips(
        clip_len=num_frames,
        frame_interval=frame_interval,
        num_clips=num_clips,
        sampling='uniform',
    )
    pipeline = Compose([load, ClipResize(short_side=size), ClipCenterCrop(size=size)])
    try:
        return pipeline(dict(path=str(path), sample_key=(0, 0, 0)))['clips']
    except VideoReadError as error:
        raise VideoReadError(f'cannot read {path}: {error}') from error


def save_gif(path: str | Path, frames: Sequence[np.ndarray], fps: float = 6) -> None:
    """Write uint8 RGB pictures (H, W, 3) as an endless GIF, all with one palette of 256 colours.

    Raises:
        ValueError: If there is no picture or ``fps`` is not positive.
    """
    _check(frames, fps)
    strip = Image.fromarray(np.concatenate(list(frames)[:: max(len(frames) // 4, 1)]))
    palette = strip.quantize(256, method=Image.Quantize.MEDIANCUT)
    images = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        for frame in frames
    ]
    images[0].save(
        path, save_all=True, append_images=images[1:], duration=round(1000 / fps), loop=0
    )


def save_mp4(path: str | Path, frames: Sequence[np.ndarray], fps: int = 6) -> None:
    """Write uint8 RGB pictures (H, W, 3) as H.264; odd sizes get a white line more.

    Raises:
        ValueError: If there is no picture or ``fps`` is not positive.
    """
    _check(frames, fps)
    height, width = frames[0].shape[:2]
    pad = ((0, height % 2), (0, width % 2), (0, 0))
    write_video(path, [np.pad(frame, pad, constant_values=255) for frame in frames], fps, crf=18)


def _check(frames: Sequence[np.ndarray], fps: float) -> None:
    if not len(frames):
        raise ValueError('frames must hold at least one picture')
    if fps <= 0:
        raise ValueError(f'fps must be positive, got {fps}')
