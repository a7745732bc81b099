import pytest
import torch
from support.plain_hog import plain_hog_patches

from mmmae_st.models import MAEHead


def video():
    return torch.randn(2, 3, 4, 16, 16)


def test_normalised_target_uses_the_unbiased_variance_of_all_values():
    x, ids = video(), torch.tensor([[1], [6]])
    target = MAEHead(8, patch_size=8, frames='stride').make_target(x, ids)
    patch = x[1, :, 2, 8:16, 0:8].permute(1, 2, 0).flatten()  # id 6: slice 1, row 1, column 0
    expected = (patch - patch.mean()) / (patch.var(unbiased=True) + 1e-6) ** 0.5
    torch.testing.assert_close(target[1, 0], expected)


@pytest.mark.parametrize(('frames', 'picked'), [('linspace', 3), ('stride', 2)])
def test_one_frame_of_a_tubelet_is_predicted_by_rule(frames, picked):
    x, ids = video(), torch.tensor([[7], [7]])
    target = MAEHead(8, patch_size=8, target='pixels', frames=frames).make_target(x, ids)
    torch.testing.assert_close(target[0, 0], x[0, :, picked, 8:, 8:].permute(1, 2, 0).flatten())


def test_whole_tubelet_is_ordered_frame_row_column_channel():
    x, ids = video(), torch.tensor([[5], [2]])
    head = MAEHead(8, patch_size=8, target='pixels', frames='all')
    target = head.make_target(x, ids)
    assert target.shape[-1] == head.pred.out_features == 2 * 8 * 8 * 3
    expected = x[0, :, 2:4, 0:8, 8:16].permute(1, 2, 3, 0).flatten()
    torch.testing.assert_close(target[0, 0], expected)


@pytest.mark.parametrize(('patch_size', 'values'), [(8, 27), (16, 108)])
def test_hog_target_is_the_histograms_of_the_patch(patch_size, values):
    x = torch.randn(1, 3, 4, 32, 32)
    head = MAEHead(8, patch_size=patch_size, target='hog', frames='stride')
    target = head.make_target(x, None)
    assert target.shape[-1] == head.pred.out_features == values
    expected = plain_hog_patches(x[0, :, ::2].numpy(), patch_size)
    torch.testing.assert_close(target[0].double(), torch.from_numpy(expected), atol=1e-5, rtol=0)
    torch.testing.assert_close(head.make_target(x, torch.tensor([[5, 2]]))[0], target[0, [5, 2]])


def test_loss_is_taken_in_float32_under_autocast():
    head, x, ids = MAEHead(8, patch_size=8), video(), torch.tensor([[0, 1], [2, 3]])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        pred = head(torch.randn(2, 2, 8))
        loss = head.loss(pred, x, ids)
    assert pred.dtype is torch.bfloat16 and loss.dtype is torch.float32
    expected = (pred.float() - head.make_target(x, ids)).square().mean(dim=(1, 2))
    torch.testing.assert_close(loss, expected)


def test_constant_patches_do_not_explode():
    target = MAEHead(8, patch_size=8).make_target(torch.ones(1, 3, 4, 16, 16), None)
    assert torch.isfinite(target).all()


@pytest.mark.parametrize('target', ['pixels', 'normalized_pixels'])
def test_to_pixels_inverts_the_target(target):
    head, x, ids = MAEHead(8, patch_size=8, target=target), video(), torch.tensor([[0, 5], [2, 3]])
    pixels = head.to_pixels(head.make_target(x, ids), x, ids)
    torch.testing.assert_close(pixels, head.pixel_patches(x, ids), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(target='rgb'), "'rgb'"),
        (dict(frames='first'), "'first'"),
        (dict(target='hog', patch_size=12), '12'),
    ],
)
def test_bad_arguments_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        MAEHead(8, **kwargs)
