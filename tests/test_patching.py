import pytest
import torch

from mmmae_st.patching import (
    patch_view,
    removed_ids,
    select_patches,
    target_frames,
    token_grid,
    unpatchify,
)


@pytest.mark.parametrize(
    ('frames', 'size', 'grid'), [(16, 224, (8, 14, 14)), (32, 112, (16, 7, 7))]
)
def test_token_grid(frames, size, grid):
    assert token_grid((frames, size, size), 2, 16) == grid


@pytest.mark.parametrize(
    ('clip', 'message'), [((15, 32, 32), '15 frames'), ((16, 30, 32), '30x32'), ((0, 32, 32), '0')]
)
def test_token_grid_names_the_size_that_does_not_divide(clip, message):
    with pytest.raises(ValueError, match=message):
        token_grid(clip, 2, 16)


def test_patch_view_copies_nothing_and_keeps_the_order():
    video = torch.randn(2, 3, 4, 8, 12)
    patches = patch_view(video, 2, 4)
    assert patches.data_ptr() == video.data_ptr()
    torch.testing.assert_close(patches[1, 1, 0, 2], video[1, :, 2:4, 0:4, 8:12])


def test_select_patches_equals_indexing_all_patches():
    video = torch.randn(2, 3, 4, 8, 12)
    ids = torch.tensor([[0, 7, 11], [3, 4, 5]])
    everything = select_patches(video, None, 2, 4)
    assert everything.shape == (2, 12, 3, 2, 4, 4)
    selected = select_patches(video, ids, 2, 4)
    for clip in range(2):
        torch.testing.assert_close(selected[clip], everything[clip, ids[clip]])


def test_unpatchify_inverts_channel_last_patches():
    video = torch.randn(2, 3, 4, 8, 12)
    patches = select_patches(video, None, 2, 4).movedim(2, -1).flatten(2)
    torch.testing.assert_close(unpatchify(patches, (2, 2, 3), 2, 4), video)


def test_removed_ids_is_the_sorted_complement():
    ids_keep = torch.tensor([[0, 2, 5], [1, 3, 4]])
    assert removed_ids(ids_keep, 6).tolist() == [[1, 3, 4], [0, 2, 5]]


def test_target_frames_follow_both_published_rules():
    assert target_frames(16, 2, 'linspace') == [0, 2, 4, 6, 8, 10, 12, 15]
    assert target_frames(16, 2, 'stride') == [0, 2, 4, 6, 8, 10, 12, 14]
    for steps in range(1, 65):  # mae_st's own computation, in floating point
        expected = torch.linspace(0, 2 * steps - 1, steps).long().tolist()
        assert target_frames(2 * steps, 2, 'linspace') == expected
    with pytest.raises(ValueError, match='middle'):
        target_frames(16, 2, 'middle')
