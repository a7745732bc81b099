"""Histograms of oriented gradients, a target that ignores local contrast (Dalal & Triggs 2005)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def hog(images_NCHW: Tensor, cell_size: int = 8, num_bins: int = 9) -> Tensor:
    """Oriented-gradient histograms of every channel, as MaskFeat predicts (arXiv 2112.09133).

    Central differences (zero on the border), unsigned orientations in ``num_bins`` hard bins of
    180/num_bins degrees weighted by magnitude, every cell's histogram scaled to unit length.
    Equals ``skimage.feature.hog(cells_per_block=(1, 1), block_norm='L2')`` channel by channel.

    Args:
        images_NCHW: Images (N, C, H, W), float; H and W are multiples of ``cell_size``.
        cell_size: Side of a cell in pixels.
        num_bins: Orientation bins.

    Returns:
        Histograms (N, C, num_bins, H / cell_size, W / cell_size).
    """
    rows, cols = torch.zeros_like(images_NCHW), torch.zeros_like(images_NCHW)
    rows[..., 1:-1, :] = images_NCHW[..., 2:, :] - images_NCHW[..., :-2, :]
    cols[..., 1:-1] = images_NCHW[..., 2:] - images_NCHW[..., :-2]
    magnitude = torch.hypot(rows, cols)
    angle = torch.rad2deg(torch.atan2(rows, cols)) % 180.0
    bins = (angle * (num_bins / 180.0)).floor().clamp_(max=num_bins - 1)
    cells = torch.stack(
        [F.avg_pool2d(magnitude * (bins == b), cell_size) for b in range(num_bins)], dim=2
    )
    return cells / (cells.square().sum(dim=2, keepdim=True) + 1e-10).sqrt()
