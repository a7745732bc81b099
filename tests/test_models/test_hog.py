"""HOG against the formulas of PySlowFast, written out pixel by pixel."""

import numpy as np
import pytest
import torch
from support.plain_hog import plain_hog

from mmmae_st.models.hog import hog


def test_hog_equals_the_formulas():
    images = torch.rand(2, 3, 32, 24, dtype=torch.float64) * 255
    ours = hog(images)
    assert ours.shape == (2, 3, 9, 4, 3)
    for image, cells in zip(images.flatten(0, 1), ours.flatten(0, 1), strict=True):
        np.testing.assert_allclose(cells, plain_hog(image.numpy()), atol=1e-10)


def test_single_precision_of_whole_numbers_votes_alike():
    """Whole gray values meet the borders of the bins."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 6, (4, 1, 16, 16), generator=generator).float()
    for image, cells in zip(images[:, 0], hog(images)[:, 0], strict=True):
        np.testing.assert_allclose(cells, plain_hog(image.numpy()), atol=1e-6)


@pytest.mark.parametrize(('slope', 'orientation'), [((0, 1), 4), ((1, 0), 0), ((1, 1), 2)])
@pytest.mark.parametrize('sign', [1, -1])
def test_opposite_gradients_are_one_orientation(slope, orientation, sign):
    rows, cols = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing='ij')
    image = sign * (slope[0] * rows + slope[1] * cols)
    expected = torch.zeros(9)
    expected[orientation] = 1
    torch.testing.assert_close(hog(image[None, None])[0, 0, :, 1, 1], expected)


def test_hog_ignores_contrast_and_brightness():
    image = torch.rand(1, 1, 16, 16) * 100
    torch.testing.assert_close(hog(image), hog(image * 2 + 30), atol=1e-5, rtol=1e-5)


def test_flat_cells_are_zero():
    assert not hog(torch.full((1, 3, 16, 16), 7.0)).any()
