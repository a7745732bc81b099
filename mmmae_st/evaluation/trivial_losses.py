"""Losses of predictions that need no model, with the target and the masks of a model's own.

Dimensions: B clips, M predicted patches, K kept patches, L tokens, V values of a patch.
"""

import torch
from torch import Tensor

from mmmae_st.models import MAEHead


@torch.no_grad()
def trivial_losses(
    head: MAEHead,
    video: Tensor,
    ids_keep: Tensor,
    ids_predict: Tensor,
    grid: tuple[int, int, int],
) -> dict[str, float]:
    """Mean squared errors of trivial predictions, over the same patches as the model's loss.

    Args:
        head: Makes the target.
        video: Normalised clips (B, C, T, H, W).
        ids_keep: Ids (B, K) int64 of the visible patches.
        ids_predict: Ids (B, M) int64 of the patches that are predicted.
        grid: Token grid (t, h, w).

    Returns:
        ``mean``: the mean of the clip's visible patches; ``nearest``: the visible patch that is
        nearest in the token grid; ``previous``, of more than one frame: the frame before (of the
        first frame the second), whether visible or not. Each as the target would have it: of
        normalised patches, the normalised one.
    """
    target = head.make_target(video, ids_predict)
    visible = head.make_target(video, ids_keep)
    clip = torch.arange(len(ids_keep), device=ids_keep.device)[:, None]
    guesses = dict(
        mean=visible.mean(dim=1, keepdim=True),
        nearest=visible[clip, nearest_visible(ids_keep, ids_predict, grid)],
    )
    if video.shape[2] > 1:
        earlier = torch.cat([video[:, :, 1:2], video[:, :, :-1]], dim=2)
        guesses['previous'] = head.make_target(earlier, ids_predict)
    return {
        name: float((guess - target).square().mean(dim=(1, 2)).mean())
        for name, guess in guesses.items()
    }


def nearest_visible(ids_keep: Tensor, ids_predict: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """For each predicted patch the place (B, M) int64 in ``ids_keep`` of the nearest visible one.

    Nearest in steps of the token grid (t, h, w); of several the first.
    """
    _, h, w = grid

    def places(ids: Tensor) -> Tensor:
        return torch.stack([ids // (h * w), ids // w % h, ids % w], dim=-1).float()

    distances = torch.cdist(
        places(ids_predict), places(ids_keep), compute_mode='donot_use_mm_for_euclid_dist'
    )
    return distances.argmin(dim=2)
