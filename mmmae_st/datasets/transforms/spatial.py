"""Crop, resize and flip: alike for all frames of a clip, apart for each of the R clips.

A clip is T frames (H, W, 3) uint8. Before the first transform the frames are those of the decoder
and shared between clips; after a crop or resize ``clips`` is one (R, T, h, w, 3) array.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmmae_st.registry import TRANSFORMS
from mmmae_st.uncut_clips import Box, UncutClips, clip_shape

INTERPOLATIONS = {
    'bilinear': cv2.INTER_LINEAR,
    'bicubic': cv2.INTER_CUBIC,
    'area': cv2.INTER_AREA,
}


def random_resized_box(
    height: int,
    width: int,
    scale: Sequence[float],
    ratio: Sequence[float],
    rng: np.random.Generator,
) -> Box:
    """Draw a crop of random area and aspect ratio; after ten misfits the central one."""
    for _ in range(10):
        area = height * width * rng.uniform(scale[0], scale[1])
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
            return int(top), int(left), h, w
    w, h = width, height
    if width / height < ratio[0]:
        h = round(width / ratio[0])
    elif width / height > ratio[1]:
        w = round(height * ratio[1])
    return (height - h) // 2, (width - w) // 2, h, w


def crop_resize(
    clips: Sequence | UncutClips,
    boxes: Sequence[Box],
    size: tuple[int, int],
    interpolation: str = 'bilinear',
) -> np.ndarray | UncutClips:
    """Cut one box out of each clip and resize it to ``size`` (h, w).

    Returns:
        (R, T, h, w, 3) uint8, or what was given uncut still uncut.
    """
    if isinstance(clips, UncutClips):
        return clips.cropped(boxes, size, interpolation)
    flag = INTERPOLATIONS[interpolation]
    out = np.empty((len(clips), len(clips[0]), *size, 3), np.uint8)
    for clip, (top, left, h, w), out_clip in zip(clips, boxes, out, strict=True):
        for frame, out_frame in zip(clip, out_clip, strict=True):
            part = frame[top : top + h, left : left + w]
            if (h, w) == size:
                out_frame[:] = part
            else:
                cv2.resize(part, size[::-1], dst=out_frame, interpolation=flag)
    return out


def _check_size(name: str, value: int) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f'{name} must be an integer >= 1, got {value!r}')
    return value


def _check_interpolation(value: str) -> str:
    if value not in INTERPOLATIONS:
        raise ValueError(f'interpolation must be one of {list(INTERPOLATIONS)}, got {value!r}')
    return value


def _check_fits(size: int, height: int, width: int) -> None:
    if min(height, width) < size:
        raise ValueError(
            f'size {size} exceeds the clip of {height}x{width} (height x width); '
            'put ClipResize before the crop'
        )


@TRANSFORMS.register_module()
class ClipRandomResizedCrop(BaseTransform):
    """Cut a random part out of each clip, the same in all its frames, and resize it to a square.

    Args:
        size: Side of the result, in pixels.
        scale: Least and greatest area, as a part of the frame, in (0, 1].
        ratio: Least and greatest width / height.
        interpolation: ``'bilinear'``, ``'bicubic'`` or ``'area'``. Defaults to 'bilinear'.
    """

    def __init__(
        self,
        size: int,
        scale: tuple[float, float] = (0.5, 1.0),
        ratio: tuple[float, float] = (0.75, 1.3333),
        interpolation: str = 'bilinear',
    ) -> None:
        self.size = _check_size('size', size)
        if len(scale) != 2 or not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(f'scale must be (low, high) with 0 < low <= high <= 1, got {scale!r}')
        if len(ratio) != 2 or not 0 < ratio[0] <= ratio[1]:
            raise ValueError(f'ratio must be (low, high) with 0 < low <= high, got {ratio!r}')
        self.scale = scale
        self.ratio = ratio
        self.interpolation = _check_interpolation(interpolation)

    def transform(self, results: dict) -> dict:
        """Replace ``clips``."""
        _, height, width = clip_shape(results['clips'])
        boxes = [
            random_resized_box(height, width, self.scale, self.ratio, rng)
            for rng in results['rngs']
        ]
        size = (self.size, self.size)
        results['clips'] = crop_resize(results['clips'], boxes, size, self.interpolation)
        return results


@TRANSFORMS.register_module()
class ClipResize(BaseTransform):
    """Resize clips so that the short side has ``short_side`` pixels; the shape is kept.

    Args:
        short_side: Pixels of the short side.
        interpolation: ``'bilinear'``, ``'bicubic'`` or ``'area'``. Defaults to 'bilinear'.
    """

    def __init__(self, short_side: int, interpolation: str = 'bilinear') -> None:
        self.short_side = _check_size('short_side', short_side)
        self.interpolation = _check_interpolation(interpolation)

    def transform(self, results: dict) -> dict:
        """Replace ``clips``."""
        clips = results['clips']
        _, height, width = clip_shape(clips)
        short = min(height, width)
        size = (height * self.short_side // short, width * self.short_side // short)
        boxes = [(0, 0, height, width)] * len(clips)
        results['clips'] = crop_resize(clips, boxes, size, self.interpolation)
        return results


@TRANSFORMS.register_module()
class ClipCenterCrop(BaseTransform):
    """Cut the central square out of each clip.

    Args:
        size: Side of the square, in pixels, no greater than the clip.
    """

    def __init__(self, size: int) -> None:
        self.size = _check_size('size', size)

    def transform(self, results: dict) -> dict:
        """Replace ``clips``."""
        clips = results['clips']
        _, height, width = clip_shape(clips)
        _check_fits(self.size, height, width)
        top, left = (math.ceil((side - self.size) / 2) for side in (height, width))
        boxes = [(top, left, self.size, self.size)] * len(clips)
        results['clips'] = crop_resize(clips, boxes, (self.size, self.size))
        return results


@TRANSFORMS.register_module()
class ClipThreeCrop(BaseTransform):
    """Cut three squares along the longer side: R clips become 3R, those of a clip in a row.

    Args:
        size: Side of the squares, in pixels, no greater than the clip.
    """

    def __init__(self, size: int) -> None:
        self.size = _check_size('size', size)

    def transform(self, results: dict) -> dict:
        """Replace ``clips`` and repeat ``frame_inds`` and ``rngs``."""
        _, height, width = clip_shape(results['clips'])
        _check_fits(self.size, height, width)
        boxes = [
            (top, left, self.size, self.size)
            for top, left in three_crop_corners(height, width, self.size)
        ]
        views = [view for view in range(len(results['clips'])) for _ in boxes]
        results['clips'] = crop_resize(
            [results['clips'][view] for view in views],
            boxes * len(results['clips']),
            (self.size, self.size),
        )
        results['frame_inds'] = results['frame_inds'][views]
        results['rngs'] = [results['rngs'][view] for view in views]
        return results


def three_crop_corners(height: int, width: int, size: int) -> list[tuple[int, int]]:
    """(top, left) of the first, central and last square along the longer side."""
    top, left = (math.ceil((side - size) / 2) for side in (height, width))
    if height > width:
        return [(0, left), (top, left), (height - size, left)]
    return [(top, 0), (top, left), (top, width - size)]


@TRANSFORMS.register_module()
class ClipFlip(BaseTransform):
    """Mirror a clip left to right, all frames or none.

    Args:
        prob: Probability, in [0, 1]. Defaults to 0.5.
    """

    def __init__(self, prob: float = 0.5) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must be within [0, 1], got {prob!r}')
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Replace the clips that are flipped."""
        clips = results['clips']
        flips = [rng.random() < self.prob for rng in results['rngs']]
        if isinstance(clips, UncutClips):
            results['clips'] = clips.flipped(flips)
            return results
        for view in np.flatnonzero(flips):
            if isinstance(clips, np.ndarray):  # ours alone: in place
                for frame in clips[view]:
                    cv2.flip(frame, 1, dst=frame)
            else:  # frames that other clips may share
                clips[view] = [cv2.flip(frame, 1) for frame in clips[view]]
        return results
