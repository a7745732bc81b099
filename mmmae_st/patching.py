"""Pure functions between clips, patches and patch ids.

Dimensions: B clips, C channels, T H W frames and pixels, t h w the token grid, L = t*h*w tokens,
K kept tokens, M removed tokens, u p q frames, rows and columns of a patch. A token's id is its
position in (t, h, w) order, the last axis fastest.
"""

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor


def token_grid(
    clip_size: Sequence[int], tubelet_size: int, patch_size: int
) -> tuple[int, int, int]:
    """Token grid (t, h, w) of a clip.

    Args:
        clip_size: Frames, height and width of the clip.
        tubelet_size: Frames of a patch.
        patch_size: Height and width of a patch in pixels.

    Raises:
        ValueError: If the clip does not divide into whole patches.
    """
    frames, height, width = clip_size
    if frames < 1 or frames % tubelet_size:
        raise ValueError(
            f'a clip of {frames} frames does not divide into tubelets of {tubelet_size} frames: '
            f'the number of frames must be a multiple of tubelet_size'
        )
    if min(height, width) < 1 or height % patch_size or width % patch_size:
        raise ValueError(
            f'frames of {height}x{width} pixels do not divide into patches of '
            f'{patch_size}x{patch_size}: height and width must be multiples of patch_size'
        )
    return frames // tubelet_size, height // patch_size, width // patch_size


def patch_view(video_BCTHW: Tensor, tubelet_size: int, patch_size: int) -> Tensor:
    """All patches of a clip, (B, t, h, w, C, u, p, q), without copying a pixel."""
    return rearrange(
        video_BCTHW,
        'b c (t u) (h p) (w q) -> b t h w c u p q',
        u=tubelet_size,
        p=patch_size,
        q=patch_size,
    )


def select_patches(
    video_BCTHW: Tensor, ids_BK: Tensor | None, tubelet_size: int, patch_size: int
) -> Tensor:
    """Patches of the named ids only, (B, K, C, u, p, q); all of them, in order, for ``None``."""
    patches = patch_view(video_BCTHW, tubelet_size, patch_size)
    if ids_BK is None:
        return patches.flatten(1, 3)
    _, h, w = patches.shape[1:4]
    clip = torch.arange(patches.shape[0], device=ids_BK.device)[:, None]
    return patches[clip, ids_BK // (h * w), ids_BK // w % h, ids_BK % w]


def unpatchify(
    patches_BLV: Tensor, grid: tuple[int, int, int], tubelet_size: int, patch_size: int
) -> Tensor:
    """Clips (B, C, t*u, h*p, w*q) from patch values (B, L, u*p*q*C), ordered (u, p, q, c)."""
    t, h, w = grid
    return rearrange(
        patches_BLV,
        'b (t h w) (u p q c) -> b c (t u) (h p) (w q)',
        t=t,
        h=h,
        w=w,
        u=tubelet_size,
        p=patch_size,
        q=patch_size,
    )


def removed_ids(ids_keep_BK: Tensor, num_tokens: int) -> Tensor:
    """Ids that are not kept, (B, L - K) int64, ascending. This is the mask, derived once."""
    removed = torch.ones(
        ids_keep_BK.shape[0], num_tokens, dtype=torch.bool, device=ids_keep_BK.device
    )
    removed.scatter_(1, ids_keep_BK, False)
    num_removed = num_tokens - ids_keep_BK.shape[1]
    return removed.byte().argsort(dim=1, descending=True, stable=True)[:, :num_removed]


def target_frames(num_frames: int, tubelet_size: int, rule: str) -> list[int]:
    """Frames that the decoder predicts, one per tubelet.

    Args:
        num_frames: Frames T of the clip.
        tubelet_size: Frames u of a patch; T/u frames are returned.
        rule: ``'linspace'`` spreads them evenly from the first frame to the last (mae_st; 16
            frames: 0, 2, ..., 12, 15). ``'stride'`` takes the first of every tubelet (PySlowFast;
            0, 2, ..., 14).
    """
    if rule == 'linspace':
        last = num_frames // tubelet_size - 1
        return [i * (num_frames - 1) // max(last, 1) for i in range(last + 1)]
    if rule == 'stride':
        return list(range(0, num_frames, tubelet_size))
    raise ValueError(f"frame rule must be 'linspace' or 'stride', got {rule!r}")
