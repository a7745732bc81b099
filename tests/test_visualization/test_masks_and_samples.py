import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement, InstanceData

from mmmae_st.visualization.masks import GREY, hide_patches, masks_figure
from mmmae_st.visualization.samples import BOX_COLOUR, sample_figure
from mmmae_st.visualization.token_maps import MARK, heat_over, token_maps_figure

GRID = (2, 2, 2)


def white(frames=4, height=8, width=8):
    return np.full((frames, height, width, 3), 255, np.uint8)


def test_removed_patches_are_grey():
    clip = white()
    hidden = hide_patches(clip, [0, 7], GRID)
    assert (hidden[:2, :4, :4] == 255).all() and (hidden[2:, 4:, 4:] == 255).all()
    assert (hidden == GREY).all(-1).sum() == 6 * 2 * 4 * 4
    assert (clip == 255).all()
    with pytest.raises(ValueError, match='does not divide into a grid'):
        hide_patches(white(height=9), [0], GRID)


def test_figure_of_masks_has_a_row_for_each():
    clip = white(height=32, width=32)
    pictures = [
        masks_figure(clip, {f'mask {i}': [0] for i in range(count)}, GRID, tile=32)
        for count in (1, 2, 3)
    ]
    heights = [picture.shape[0] for picture in pictures]
    assert heights[2] - heights[1] == heights[1] - heights[0] >= 32
    # A row shows the first frame of each slice: 3 and 4 of its 4 patches of 16 x 16 are grey.
    assert [count_grey(picture) // (7 * 256) for picture in pictures] == [1, 2, 3]


def count_grey(picture):
    return int((picture == GREY).all(-1).sum())


def sample(views=2, **extra):
    inputs = torch.from_numpy(np.stack([white(height=32, width=32)] * views))
    meta = dict(path='folder/clip.mp4', grid=GRID, frame_inds=np.arange(8).reshape(2, 4))
    return dict(
        inputs=inputs.permute(0, 4, 1, 2, 3),
        data_samples=BaseDataElement(metainfo=meta | extra),
    )


def test_views_and_masks_of_a_sample():
    plain = sample_figure(sample(), tile=32)
    masked = sample_figure(sample() | dict(ids_keep=torch.tensor([[0, 1], [6, 7]])), tile=32)
    assert count_grey(plain) < 100  # letters
    # 2 views of 4 frames, 2 with 2 grey patches and 2 with 4
    assert count_grey(masked) // (2 * 12 * 256) == 1
    assert masked.shape[0] > plain.shape[0]
    failed = sample_figure(sample(failures=[('bad.mp4', 'no video stream')]), tile=32)
    assert failed.shape[0] > plain.shape[0]


def test_sample_of_recognition_is_a_list_of_views():
    one = sample_figure([sample(views=1, frame_inds=np.arange(4)[None], label=3)], tile=32)
    two = sample_figure([sample(views=1)] * 2, tile=32)
    assert two.shape[0] >= one.shape[0] + 32


def test_boxes_of_detection_are_drawn():
    part = sample()
    part['inputs'] = part['inputs'][0]  # mmaction2 gives one view without its axis
    boxes = InstanceData(bboxes=torch.tensor([[4.0, 4.0, 20.0, 24.0]]))
    part['data_samples'].gt_instances = boxes
    picture = sample_figure(part, tile=32)
    assert (picture == BOX_COLOUR).all(-1).sum() > 4 * 60


def test_heat_is_bright_where_the_values_are():
    values = np.zeros((2, 2, 2))
    values[1, 0, 1] = 1.0
    pictures = heat_over(white(height=32, width=32), values, 0, 1)
    assert pictures.shape == (2, 32, 32, 3)
    bright = pictures.astype(int).sum(-1)
    assert bright[1, 4, 28] > bright[1, 28, 4] == bright[0].min()


def test_figure_of_tokens_marks_the_position():
    clip = np.zeros((4, 32, 32, 3), np.uint8)
    args = (np.zeros(GRID), (1, 1, 0), np.zeros((*GRID, 3)))
    without = token_maps_figure(clip, *args, tile=32)
    with_attention = token_maps_figure(clip, *args, np.full(GRID, 0.1), tile=32)
    assert with_attention.shape[0] >= without.shape[0] + 32
    rows, columns = np.nonzero((without == MARK).all(-1))
    assert rows.max() - rows.min() == 15 and columns.max() - columns.min() == 15
    assert (clip == 0).all()
