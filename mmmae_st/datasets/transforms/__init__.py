"""Transforms, in the order in which a pipeline uses them."""

from mmmae_st.datasets.transforms.augment import ClipRandAugment, ClipRandomErasing
from mmmae_st.datasets.transforms.box_loading import LoadBoxClip
from mmmae_st.datasets.transforms.decoder_masking import DecoderMasking
from mmmae_st.datasets.transforms.loading import LoadClips
from mmmae_st.datasets.transforms.masking import (
    BlockMasking,
    FrameMasking,
    RandomMasking,
    TubeMasking,
)
from mmmae_st.datasets.transforms.packing import PackActionClips, PackClips
from mmmae_st.datasets.transforms.spatial import (
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
    'LoadBoxClip',
    'LoadClips',
    'PackActionClips',
    'PackClips',
    'RandomMasking',
    'TubeMasking',
]
