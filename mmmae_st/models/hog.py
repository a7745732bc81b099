"""Histograms of oriented gradients, a target that ignores local contrast (Dalal & Triggs 2005)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

CELL, BINS = 8, 9  # side of a cell in pixels, orientations


def hog(images_NCHW: Tensor) -> Tensor:
    """Oriented-gradient histograms of every channel, as PySlowFast's HOG target has them.

    Gradients by 3x3 Sobel filters on the image mirrored at its border. Each pixel votes with its
    magnitude for one of 9 unsigned orientations, bin floor(9 * a / pi) mod 9 with a the angle from
    the vertical axis. The histogram of each 8x8 cell has unit length. No window weighs the pixels:
    that is MaskFeat for video (arXiv 2112.09133) and the HOG row of arXiv 2205.09113; MaskFeat for
    images, in mmpretrain for instance, weighs them by a Gaussian.

    Args:
        images_NCHW: Images (N, C, H, W), float; H and W are multiples of 8.

    Returns:
        Histograms (N, C, 9, H / 8, W / 8).
    """
    x = F.pad(images_NCHW, (1, 1, 1, 1), mode='reflect')
    by_rows = x[..., :-2, :] + 2 * x[..., 1:-1, :] + x[..., 2:, :]
    by_cols = x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]
    across = by_rows[..., :-2] - by_rows[..., 2:]
    down = by_cols[..., :-2, :] - by_cols[..., 2:, :]
    magnitude = torch.hypot(across, down)
    bins = (torch.atan2(across, down) / math.pi * BINS).floor() % BINS
    cells = torch.stack([F.avg_pool2d(magnitude * (bins == b), CELL) for b in range(BINS)], dim=2)
    return F.normalize(cells, dim=2)
