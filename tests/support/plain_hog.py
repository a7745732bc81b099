"""The HOG target of PySlowFast, pixel by pixel, from its formulas."""

import math

import numpy as np


def sobel(pixels: list[list[float]]) -> tuple[float, float]:
    """Gradients of 3 x 3 pixels along rows and along columns, exactly 0 where they mirror."""
    (a, b, c), (d, _, e), (f, g, h) = pixels
    return (a + 2 * d + f) - (c + 2 * e + h), (a + 2 * b + c) - (f + 2 * g + h)


def plain_hog(image: np.ndarray) -> np.ndarray:
    """Histograms (9, H / 8, W / 8) of an image (H, W)."""
    height, width = image.shape
    padded = np.pad(image.astype(np.float64), 1, mode='reflect')
    cells = np.zeros((9, height // 8, width // 8))
    for row in range(height):
        for col in range(width):
            gx, gy = sobel(padded[row : row + 3, col : col + 3].tolist())
            orientation = math.floor(math.atan2(gx, gy) / math.pi * 9) % 9
            cells[orientation, row // 8, col // 8] += math.hypot(gx, gy)
    return cells / np.maximum(np.sqrt((cells**2).sum(0)), 1e-12)


def plain_hog_patches(clip: np.ndarray, patch_size: int) -> np.ndarray:
    """Targets (t*h*w, V) of the frames of a clip (C, T, H, W).

    The values of a patch are ordered channel, orientation, row and column of the cell.
    """
    patches = []
    side = patch_size // 8
    for frame in clip.transpose(1, 0, 2, 3):
        cells = np.concatenate([plain_hog(channel) for channel in frame])  # (C*9, H/8, W/8)
        for row in range(0, cells.shape[1], side):
            for col in range(0, cells.shape[2], side):
                patches.append(cells[:, row : row + side, col : col + side].ravel())
    return np.stack(patches)
