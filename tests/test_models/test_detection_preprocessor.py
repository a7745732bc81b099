"""Normalising and padding of clips for detection."""

import pytest
import torch
from mmengine.structures import BaseDataElement

from mmmae_st.models.data_preprocessor import DetectionDataPreprocessor


def clip(height, width, value=0, frames=2):
    return torch.full((1, 3, frames, height, width), value, dtype=torch.uint8)


def test_pads_on_the_right_and_below_with_the_mean():
    inputs = torch.randint(0, 256, (1, 3, 4, 20, 35), dtype=torch.uint8)
    out = DetectionDataPreprocessor()(dict(inputs=[inputs], data_samples=[BaseDataElement()]))
    assert out['inputs'].shape == (1, 3, 4, 32, 48)
    assert out['inputs'].dtype == torch.float32
    expected = (inputs / 255 - 0.45) / 0.225
    torch.testing.assert_close(out['inputs'][..., :20, :35], expected)
    assert (out['inputs'][..., 20:, :] == 0).all() and (out['inputs'][..., 35:] == 0).all()


def test_whole_patches_are_left_alone_and_sizes_may_differ():
    preprocessor = DetectionDataPreprocessor()
    assert preprocessor(dict(inputs=[clip(224, 224)]))['inputs'].shape[3:] == (224, 224)
    assert preprocessor(dict(inputs=[clip(256, 341)]))['inputs'].shape[3:] == (256, 352)
    batch = preprocessor(dict(inputs=[clip(17, 16, 255), clip(16, 40, 255)]))['inputs']
    assert batch.shape == (2, 3, 2, 32, 48)
    assert (batch != 0).sum(dim=(1, 2, 3, 4)).tolist() == [6 * 17 * 16, 6 * 16 * 40]


def test_the_collated_batch_is_not_changed():
    data = dict(inputs=[clip(20, 20)], data_samples=[BaseDataElement(metainfo=dict(img_shape=1))])
    inputs = data['inputs'][0]
    out = DetectionDataPreprocessor(patch_size=8)(data)
    assert data['inputs'][0] is inputs and inputs.dtype == torch.uint8
    assert out['inputs'].shape[3:] == (24, 24)
    assert out['data_samples'][0].img_shape == 1


@pytest.mark.parametrize('shape', [(3, 4, 16, 16), (2, 3, 4, 16, 16)])
def test_one_clip_a_sample(shape):
    with pytest.raises(ValueError, match=r'takes one clip \(1, C, T, H, W\) a sample, got'):
        DetectionDataPreprocessor()(dict(inputs=[torch.zeros(shape, dtype=torch.uint8)]))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(mean=(0.0,)), 'mean and std must be equally long'),
        (dict(std=(1.0, 0.0, 1.0)), 'std must be positive'),
        (dict(patch_size=0), 'patch_size must be at least 1, got 0'),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        DetectionDataPreprocessor(**arguments)
