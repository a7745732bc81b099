"""Models; importing this package registers them."""

from mmmae_st.models.data_preprocessor import ClipDataPreprocessor
from mmmae_st.models.mae import SpatiotemporalMAE
from mmmae_st.models.mae_decoder import MAEDecoder
from mmmae_st.models.mae_head import MAEHead
from mmmae_st.models.spacetime_vit import SpacetimeViT

__all__ = [
    'ClipDataPreprocessor',
    'MAEDecoder',
    'MAEHead',
    'SpacetimeViT',
    'SpatiotemporalMAE',
]
