"""Models; importing this package registers them."""

from .data_preprocessor import ClipDataPreprocessor
from .mae import SpatiotemporalMAE
from .mae_decoder import MAEDecoder
from .mae_head import MAEHead
from .spacetime_vit import SpacetimeViT

__all__ = [
    'ClipDataPreprocessor',
    'MAEDecoder',
    'MAEHead',
    'SpacetimeViT',
    'SpatiotemporalMAE',
]
