"""PackClips: layout, optional parts."""

import numpy as np
import torch

from mmmae_st.datasets.transforms import ClipResize, PackClips


def results(**extra) -> dict:
    clips = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 5, 3), np.uint8)
    return dict(
        path='a.mp4',
        sample_key=(0, 7, 3),
        failures=[('b.mp4', 'empty')],
        clips=clips,
        frame_inds=np.zeros((2, 4), np.int64),
        **extra,
    )


def test_pack():
    data = results(ids_keep=np.array([[0, 2], [1, 3]]), grid=(2, 1, 2), label=4)
    packed = PackClips()(data)
    assert packed['inputs'].shape == (2, 3, 4, 6, 5) and packed['inputs'].dtype == torch.uint8
    assert packed['inputs'][1, 2, 3, 4, 0] == data['clips'][1, 3, 4, 0, 2]
    assert packed['inputs'].data_ptr() == data['clips'].ctypes.data  # no copy
    assert packed['ids_keep'].dtype == torch.int64
    meta = packed['data_samples']
    assert (meta.path, meta.epoch, meta.index, meta.label) == ('a.mp4', 7, 3, 4)
    assert meta.grid == (2, 1, 2) and meta.failures == [('b.mp4', 'empty')]
    assert meta.frame_inds.shape == (2, 4)


def test_mask_and_label_are_optional():
    packed = PackClips()(results())
    assert 'ids_keep' not in packed
    assert 'label' not in packed['data_samples'] and 'grid' not in packed['data_samples']


def test_lists_of_frames_are_stacked():
    data = results()
    expected = data['clips'].copy()
    data['clips'] = [list(clip) for clip in data['clips']]
    np.testing.assert_array_equal(
        PackClips()(data)['inputs'].permute(0, 2, 3, 4, 1).numpy(), expected
    )


def test_packs_what_resize_makes():
    data = ClipResize(4)(results())
    assert PackClips()(data)['inputs'].shape == (2, 3, 4, 4, 4)  # 6x5 to 4.8x4
