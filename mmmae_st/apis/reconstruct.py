"""What a model makes of a masked clip, as pixels and as errors.

A model trained on normalised patches predicts structure, not brightness and contrast: to show its
prediction, the mean and deviation of each patch must come from somewhere. They come from the true
patch, which leaks them and is said below every picture, or from the visible patches around it,
which leaks nothing.

Dimensions: B clips, L tokens, K kept tokens, V values of a patch; t h w the token grid.
"""

import numpy as np
import torch
from torch import Tensor

from mmmae_st.datasets.transforms.masking import draw_block, draw_frame, draw_random, draw_tube
from mmmae_st.models import SpatiotemporalMAE
from mmmae_st.models.mae_head import patch_statistics
from mmmae_st.models.pictures import clips_from_patches, in_token_order
from mmmae_st.patching import removed_ids, select_patches
from mmmae_st.visualization.reconstruction import NORMALIZED_NOTE, Restored

MASKS = dict(random=draw_random, tube=draw_tube, frame=draw_frame, block=draw_block)
STATISTICS = ('true', 'neighbours')
NEIGHBOUR_NOTE = (
    'Target: normalised patches. Each predicted patch is shown with the mean and deviation of the '
    'nearest visible patches: nothing of the removed patches is used.'
)
PIXEL_NOTE = 'Target: pixels. Nothing of the removed patches is used.'
DECODED_NOTE = 'Visible patches are shown as decoded, which nothing has trained.'
NEIGHBOURS = 8


def draw_mask(kind: str, grid: tuple[int, int, int], ratio: float, seed: int = 0) -> Tensor:
    """Ids (1, K) int64 of the patches that stay visible.

    Args:
        kind: One of ``MASKS``.
        grid: Token grid (t, h, w).
        ratio: Part of the patches that is removed, in (0, 1).
        seed: Seed of the draw.

    Raises:
        ValueError: If the kind is unknown, the ratio out of range, or nothing would stay.
    """
    if kind not in MASKS:
        raise ValueError(f'mask must be one of {tuple(MASKS)}, got {kind!r}')
    if not 0 < ratio < 1:
        raise ValueError(f'ratio must be in (0, 1), got {ratio}')
    return torch.from_numpy(MASKS[kind](grid, ratio, np.random.default_rng(seed)))[None]


def restore(
    model: SpatiotemporalMAE,
    clip_THWC: np.ndarray,
    mask: str = 'random',
    ratio: float = 0.9,
    seed: int = 0,
    statistics: str = 'true',
    paste: bool = True,
) -> Restored:
    """Mask a clip (T, H, W, 3) uint8 RGB and reconstruct it; see :func:`restore_clips`."""
    clip = torch.from_numpy(np.ascontiguousarray(clip_THWC)).permute(3, 0, 1, 2)[None]
    return restore_clips(model, [clip], mask, ratio, seed, statistics, paste)[0]


@torch.no_grad()
def restore_clips(
    model: SpatiotemporalMAE,
    clips: list[Tensor],
    mask: str = 'random',
    ratio: float = 0.9,
    seed: int = 0,
    statistics: str = 'true',
    paste: bool = True,
) -> list[Restored]:
    """Mask clips and reconstruct them at once, each as if it were alone.

    Args:
        model: A model whose target is made of pixels, raw or normalised; in eval mode.
        clips: Clips (1, 3, T, H, W) uint8 RGB of one size.
        mask: One of ``MASKS``.
        ratio: Mask ratio.
        seed: Seed of the mask, which is the same for every clip.
        statistics: For normalised targets, where the mean and deviation of a predicted patch come
            from: ``'true'`` or ``'neighbours'``.
        paste: Show visible patches as they are instead of as decoded.

    Raises:
        ValueError: If an argument is out of range, or the target is no pixels.
    """
    if statistics not in STATISTICS:
        raise ValueError(f'statistics must be one of {STATISTICS}, got {statistics!r}')
    head = model.head
    if not head.predicts_pixels:
        raise ValueError(f'a model with head.target={head.target!r} predicts no pixels to show')
    device = next(model.parameters()).device
    video = model.data_preprocessor(dict(inputs=clips))['inputs'].to(device)
    grid = model.backbone.token_grid(video)
    num_tokens = grid[0] * grid[1] * grid[2]
    ids_keep = draw_mask(mask, grid, ratio, seed).to(device).expand(len(video), -1)
    ids_removed = removed_ids(ids_keep, num_tokens)
    order = torch.cat([ids_keep, ids_removed], dim=1)

    features = model.encode_decode(video, ids_keep, ids_removed, grid=grid, num_outputs=num_tokens)
    predicted = in_token_order(head(features).float(), order)
    error_BL = (predicted - head.make_target(video, None)).square().mean(-1)
    removed = torch.zeros(num_tokens, dtype=torch.bool, device=device)
    removed[ids_removed[0]] = True

    pixels = head.pixel_patches(video, None)
    if head.target == 'normalized_pixels':
        mean, scale = patch_statistics(pixels)
        if statistics == 'neighbours':
            mean, scale = (_from_neighbours(x, ~removed, grid) for x in (mean, scale))
        predicted = predicted * scale + mean
    shown = torch.where(removed[:, None], predicted, pixels) if paste else predicted
    true, masked, decoded, shown = (
        clips_from_patches(patches, grid, head, model.data_preprocessor)
        for patches in (pixels, pixels.masked_fill(removed[:, None], 0.0), predicted, shown)
    )
    difference = select_patches(decoded - true, ids_removed, head.target_tubelet, head.patch_size)
    return [
        Restored(
            label=f'{mask} {ratio:.0%}'.replace('%', ' %'),
            input=_channels_last(true[i]),
            masked=_channels_last(masked[i]),
            prediction=_channels_last(shown[i]),
            error=error_BL[i].masked_fill(~removed, torch.nan).view(grid).cpu().numpy(),
            loss=float(error_BL[i, removed].mean()),
            psnr=float(-10 * difference[i].square().mean().log10()),
            note=_note(head.target, statistics, paste),
        )
        for i in range(len(video))
    ]


def _note(target: str, statistics: str, paste: bool) -> str:
    if target == 'pixels':
        note = PIXEL_NOTE
    else:
        note = NORMALIZED_NOTE if statistics == 'true' else NEIGHBOUR_NOTE
    return note if paste else f'{note} {DECODED_NOTE}'


def _from_neighbours(values_BL1: Tensor, visible: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """For every patch the mean of the nearest visible ones, weighted by 1 / distance squared."""
    places = torch.cartesian_prod(*(torch.arange(n, dtype=torch.float32) for n in grid))
    places = places.to(values_BL1.device)
    distance = torch.cdist(places, places[visible])
    nearest = distance.topk(min(NEIGHBOURS, distance.shape[1]), dim=1, largest=False)
    weights = 1 / nearest.values.clamp(min=1e-3).square()
    found = values_BL1[:, visible, 0][:, nearest.indices]
    return ((found * weights).sum(-1) / weights.sum(-1))[..., None]


def _channels_last(clip_CTHW: Tensor) -> np.ndarray:
    return clip_CTHW.permute(1, 2, 3, 0).cpu().numpy()
