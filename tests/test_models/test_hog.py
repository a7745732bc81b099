import numpy as np
import torch
from skimage.feature import hog as skimage_hog

from mmmae_st.models.hog import hog


def test_hog_equals_skimage():
    images = torch.rand(2, 3, 32, 24, dtype=torch.float64) * 255
    ours = hog(images)
    assert ours.shape == (2, 3, 9, 4, 3)
    for image, cells in zip(images.flatten(0, 1), ours.flatten(0, 1), strict=True):
        expected = skimage_hog(
            image.numpy(),
            orientations=9,
            pixels_per_cell=(8, 8),
            cells_per_block=(1, 1),
            block_norm='L2',
            feature_vector=False,
        )[:, :, 0, 0]
        np.testing.assert_allclose(cells.permute(1, 2, 0), expected, atol=1e-6)


def test_hog_ignores_contrast_and_brightness():
    image = torch.rand(1, 1, 16, 16) * 100
    torch.testing.assert_close(hog(image), hog(image * 2 + 30), atol=1e-5, rtol=1e-5)
