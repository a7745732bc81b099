"""Clips whose pixels are cut later: the decoded frames of a video once, and what R clips take.

A worker draws boxes and flips as ever, but sends the frames as they leave the decoder, each once
and in YUV 4:2:0, half the bytes of RGB. The data preprocessor cuts the clips on the device.

Dimensions: F frames, H W their size, R clips, T frames of a clip, h w its size.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Box = tuple[int, int, int, int]  # top, left, height, width

# What cutting on the device offers of a worker's interpolations, under PyTorch's names.
INTERPOLATIONS = ('bilinear', 'bicubic')
# Shares of red and blue in luma, by the numbers that FFmpeg has for colour spaces (ITU-T H.273).
LUMA_SHARES = {1: (0.2126, 0.0722), 4: (0.3, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
BT601 = (0.299, 0.114)


@dataclass(frozen=True)
class Planes:
    """Frames in YUV 4:2:0.

    Attributes:
        luma: (F, H, W) uint8.
        chroma: (F, 2, ceil(H / 2), ceil(W / 2)) uint8: blue and red differences.
        colour_space: FFmpeg's number; one that is not in ``LUMA_SHARES`` counts as ITU-R BT.601.
        full_range: Whether black is 0 and white 255, in place of 16 and 235.
    """

    luma: Tensor
    chroma: Tensor
    colour_space: int
    full_range: bool

    def map(self, change: Any) -> 'Planes':
        """The planes with ``change`` applied to each tensor."""
        return replace(self, luma=change(self.luma), chroma=change(self.chroma))


def to_rgb(planes: Planes) -> Tensor:
    """(F, 3, H, W) uint8 RGB: what swscale makes of the same planes, to the bit for even H and W.

    Each chroma sample counts for its two by two pixels. The arithmetic is swscale's: products of 13
    bits, each rounded down by itself.
    """
    red, blue = LUMA_SHARES.get(planes.colour_space, BT601)
    green = 1 - red - blue
    luma_scale, chroma_scale = (1, 1) if planes.full_range else (255 / 219, 255 / 224)
    height, width = planes.luma.shape[1:]

    def part(values: Tensor, factor: float) -> Tensor:
        return (values * round(8192 * factor)) >> 16

    def wide(values: Tensor) -> Tensor:
        doubled = values.repeat_interleave(2, -2).repeat_interleave(2, -1)
        return doubled[:, :height, :width]

    luma = part(planes.luma.int() * 8 - (0 if planes.full_range else 128), luma_scale)
    u, v = (planes.chroma.int() * 8 - 1024).unbind(1)
    from_u = -2 * blue * (1 - blue) / green * chroma_scale
    from_v = -2 * red * (1 - red) / green * chroma_scale
    rgb = [
        luma + wide(part(v, 2 * (1 - red) * chroma_scale)),
        luma + wide(part(u, from_u) + part(v, from_v)),
        luma + wide(part(u, 2 * (1 - blue) * chroma_scale)),
    ]
    return torch.stack(rgb, 1).clamp_(0, 255).byte()


@dataclass(frozen=True)
class UncutClips:
    """R clips that have not been cut; they take the place of their pixels in a sample.

    Attributes:
        planes: The frames of which the clips consist, each once.
        frames: (R, T) int64: which of the F; a tensor once it is in pinned memory.
        boxes: What each clip shows; None for whole frames.
        size: (h, w) to which boxes are resized; None with ``boxes``.
        interpolation: One of ``INTERPOLATIONS``.
        flips: Whether each clip is mirrored left to right.
    """

    planes: Planes
    frames: np.ndarray | Tensor
    boxes: tuple[Box, ...] | None = None
    size: tuple[int, int] | None = None
    interpolation: str = 'bilinear'
    flips: tuple[bool, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """(R, C, T, h, w), of the clips when they are cut."""
        return len(self), 3, self.frames.shape[1], *(self.size or self.planes.luma.shape[1:])

    def cropped(
        self, boxes: Iterable[Box], size: tuple[int, int], interpolation: str
    ) -> 'UncutClips':
        """The clips, to be cut to boxes.

        Raises:
            ValueError: They are to be cut already, or the device has no such interpolation.
        """
        if self.boxes is not None:
            raise ValueError(
                'clips are cut on the device once: one crop or resize is allowed with '
                'LoadClips(cut_on_device=True)'
            )
        if interpolation not in INTERPOLATIONS:
            raise ValueError(
                f'interpolation must be one of {INTERPOLATIONS} with LoadClips(cut_on_device=True),'
                f' got {interpolation!r}'
            )
        return replace(self, boxes=tuple(boxes), size=size, interpolation=interpolation)

    def flipped(self, flips: Iterable[bool]) -> 'UncutClips':
        """The clips, those chosen mirrored once more."""
        before = self.flips or (False,) * len(self)
        return replace(self, flips=tuple(a != b for a, b in zip(before, flips, strict=True)))

    def pin_memory(self) -> 'UncutClips':
        """Asked by PyTorch's loader, where it pins memory."""
        planes = self.planes.map(torch.Tensor.pin_memory)
        return replace(self, planes=planes, frames=torch.as_tensor(self.frames).pin_memory())

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, views: slice) -> 'UncutClips':
        if isinstance(views, slice):
            boxes = None if self.boxes is None else self.boxes[views]
            return replace(self, frames=self.frames[views], boxes=boxes, flips=self.flips[views])
        raise ValueError(
            'the pixels of these clips are cut on the device: no transform but '
            'ClipRandomResizedCrop, ClipResize, ClipFlip, masks and PackClips may stand behind '
            'LoadClips(cut_on_device=True)'
        )

    def cut(self, planes: Planes | None = None) -> Tensor:
        """Convert, crop, resize and flip: (R, 3, T, h, w) uint8, where the planes are.

        Equal to what a worker makes by OpenCV, but for rounding in the interpolation: by 1 of 255
        at most in the bilinear one.

        Args:
            planes: A copy of the planes on a device; None for those that are here.
        """
        rgb = to_rgb(planes or self.planes)
        height, width = rgb.shape[2:]
        size = self.size or (height, width)
        boxes = self.boxes or ((0, 0, height, width),) * len(self)
        flips = self.flips or (False,) * len(self)
        frames = torch.as_tensor(self.frames).to(rgb.device, non_blocking=rgb.is_cuda)
        out = torch.empty(self.shape, dtype=torch.uint8, device=rgb.device)
        for view, ((top, left, h, w), flip) in enumerate(zip(boxes, flips, strict=True)):
            part = rgb[frames[view], :, top : top + h, left : left + w]
            if (h, w) != size:
                resized = F.interpolate(part.float(), size, mode=self.interpolation)
                part = resized.round_().clamp_(0, 255).byte()
            out[view] = (part.flip(-1) if flip else part).transpose(0, 1)
        return out


def clip_shape(clips: Any) -> tuple[int, int, int]:
    """(T, h, w) of R clips: lists of frames, an array, or :class:`UncutClips`."""
    if isinstance(clips, UncutClips):
        return clips.shape[2:]
    return len(clips[0]), *clips[0][0].shape[:2]
