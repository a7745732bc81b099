"""Transforms, in the order in which a pipeline uses them."""

from .action import PackActionClips
from .augment import ClipRandAugment, ClipRandomErasing
from .decoder_masking import DecoderMasking
from .formatting import PackClips
from .loading import LoadClips
from .masking import BlockMasking, FrameMasking, RandomMasking, TubeMasking
from .processing import (
    ClipCenterCrop,
    ClipFlip,
    ClipRandomResizedCrop,
    ClipResize,
    ClipThreeCrop,
)

__all__ = [
    'BlockMasking',
    'ClipCenterCrop',
    'ClipFlip',
    'ClipRandAugment',
    'ClipRandomErasing',
    'ClipRandomResizedCrop',
    'ClipResize',
    'ClipThreeCrop',
    'DecoderMasking',
    'FrameMasking',
    'LoadClips',
    'PackActionClips',
    'PackClips',
    'RandomMasking',
    'TubeMasking',
]
