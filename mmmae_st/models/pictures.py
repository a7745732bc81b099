"""Patches of a clip as pictures.

Dimensions: B clips, C channels, T' predicted frames, H W pixels, L tokens, V values of a patch.
"""

import torch
from torch import Tensor

from mmmae_st.models.data_preprocessor import ClipDataPreprocessor
from mmmae_st.models.mae_head import MAEHead
from mmmae_st.patching import unpatchify


def in_token_order(values_BLV: Tensor, ids_BL: Tensor) -> Tensor:
    """Values (B, L, V) of all tokens, put where their ids say."""
    ordered = torch.empty_like(values_BLV)
    clip = torch.arange(len(ids_BL), device=ids_BL.device)[:, None]
    ordered[clip, ids_BL] = values_BLV
    return ordered


def clips_from_patches(
    patches_BLV: Tensor,
    grid: tuple[int, int, int],
    head: MAEHead,
    preprocessor: ClipDataPreprocessor,
) -> Tensor:
    """Clips (B, C, T', H, W) float in [0, 1], clamped, from patches in the scale of the model."""
    clips = unpatchify(patches_BLV, grid, head.target_tubelet, head.patch_size)
    return preprocessor.denormalize(clips).clamp_(0, 1)
