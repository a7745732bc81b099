"""Features of clips: tokens, attention, similarity, neighbours.

Dimensions: B clips, T H W frames and pixels, t h w the token grid, L = t*h*w tokens, D width.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmmae_st.models import ClipDataPreprocessor, SpacetimeViT


def normalised_clips(
    clips_THWC: Sequence[np.ndarray], preprocessor: ClipDataPreprocessor
) -> Tensor:
    """Clips (T, H, W, 3) uint8 as the encoder takes them: (B, 3, T, H, W) float32."""
    inputs = [
        torch.from_numpy(np.ascontiguousarray(c)).permute(3, 0, 1, 2)[None] for c in clips_THWC
    ]
    return preprocessor(dict(inputs=inputs))['inputs']


@torch.no_grad()
def patch_tokens(encoder: SpacetimeViT, video: Tensor) -> Tensor:
    """Features (B, t, h, w, D) of all patches of clips (B, C, T, H, W).

    Args:
        encoder: Encoder with ``out_type='tokens'``, in eval mode.
        video: Normalised clips.
    """
    tokens = encoder(video)
    tokens = tokens if encoder.cls_token is None else tokens[:, 1:]
    return tokens.unflatten(1, encoder.token_grid(video))


@torch.no_grad()
def class_attention(encoder: SpacetimeViT, video: Tensor, block: int = -1) -> Tensor:
    """What the class token attends to, (B, t, h, w), mean over the heads; a clip sums to 1 or less.

    The rest of the attention goes to the class token itself.

    Args:
        encoder: Encoder with a class token, in eval mode.
        video: Normalised clips (B, C, T, H, W).
        block: Number of the block; negative ones count from the last.

    Raises:
        ValueError: If there is no class token or no such block.
    """
    depth = len(encoder.blocks)
    if encoder.cls_token is None:
        raise ValueError('the encoder has no class token whose attention could be drawn')
    if not -depth <= block < depth:
        raise ValueError(f'block must be in [{-depth}, {depth - 1}], got {block}')
    attention: Any = encoder.blocks[block].attn
    seen: list[Tensor] = []
    handle = attention.register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    try:
        encoder(video)
    finally:
        handle.remove()
    query, key, _ = attention.qkv(seen[0]).chunk(3, dim=-1)
    query, key = (x.unflatten(-1, (encoder.num_heads, -1)).transpose(1, 2) for x in (query, key))
    scores = query[:, :, :1] @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    weights = scores.softmax(dim=-1).mean(dim=1)[:, 0, 1:]
    return weights.unflatten(1, encoder.token_grid(video))


def similarity(tokens_BthwD: Tensor, position: tuple[int, int, int]) -> Tensor:
    """Cosine similarity (B, t, h, w) of all patches to the one at ``position`` (t, h, w).

    The mean feature of the clip is taken off first: it is common to all and hides the rest.

    Raises:
        ValueError: If the position is outside the grid.
    """
    grid = tuple(tokens_BthwD.shape[1:4])
    if any(not 0 <= place < size for place, size in zip(position, grid, strict=True)):
        raise ValueError(f'position {position} is outside the token grid {grid}')
    centred = tokens_BthwD - tokens_BthwD.mean(dim=(1, 2, 3), keepdim=True)
    t, h, w = position
    return F.cosine_similarity(centred, centred[:, t, h, w][:, None, None, None], dim=-1)


def principal_colours(tokens_BthwD: Tensor) -> Tensor:
    """Three main directions of the features of each clip as colours, (B, t, h, w, 3) in [0, 1]."""
    pictures = []
    for tokens in tokens_BthwD.flatten(1, 3):
        centred = tokens - tokens.mean(dim=0)
        _, _, directions = torch.linalg.svd(centred, full_matrices=False)
        scores = centred @ directions[:3].T
        low, high = scores.quantile(0.02, dim=0), scores.quantile(0.98, dim=0)
        pictures.append(((scores - low) / (high - low).clamp(min=1e-6)).clamp(0, 1))
    return torch.stack(pictures).unflatten(1, tuple(tokens_BthwD.shape[1:4]))


def clip_features(tokens_BthwD: Tensor) -> Tensor:
    """One vector of unit length for each clip, (B, D): the mean of its patches."""
    return F.normalize(tokens_BthwD.mean(dim=(1, 2, 3)), dim=-1)


def nearest_neighbours(features_BD: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` clips most similar to each clip, itself left out.

    The mean over all clips is taken off first. Similarities are cosines.

    Returns:
        Indices (B, k) int64 and similarities (B, k), best first.

    Raises:
        ValueError: If ``k`` is below 1 or there are not more than ``k`` clips.
    """
    if not 1 <= k < len(features_BD):
        raise ValueError(f'k must be in [1, {len(features_BD) - 1}], got {k}')
    centred = F.normalize(features_BD - features_BD.mean(dim=0), dim=-1)
    cosines = (centred @ centred.T).fill_diagonal_(-torch.inf)
    best = cosines.topk(k, dim=1)
    return best.indices, best.values
