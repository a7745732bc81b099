import numpy as np
import pytest
from mmengine.dataset import pseudo_collate

from mmmae_st.registry import TRANSFORMS

pytest.importorskip('mmaction')


def results(views: int = 2, label: int | None = 3) -> dict:
    found = dict(
        path='a.mp4',
        sample_key=(0, 5, 7),
        failures=[('b.mp4', 'torn')],
        clips=np.arange(views * 4 * 6 * 6 * 3, dtype=np.uint8).reshape(views, 4, 6, 6, 3),
        frame_inds=np.arange(views * 4).reshape(views, 4),
    )
    return found if label is None else dict(found, label=label)


def pack(split_views: bool, found: dict):
    cfg = dict(type='PackActionClips', split_views=split_views, _scope_='mmmae_st')
    return TRANSFORMS.build(cfg).transform(found)


def test_views_of_a_test_video_stay_together():
    sample = pack(False, results())
    assert sample['inputs'].shape == (2, 3, 4, 6, 6)
    assert sample['data_samples'].gt_label.tolist() == [3]
    assert sample['data_samples'].index == 7 and sample['data_samples'].epoch == 5
    assert sample['data_samples'].failures == [('b.mp4', 'torn')]


def test_views_of_a_training_video_are_samples_with_their_label():
    from mmaction.datasets import repeat_pseudo_collate

    samples = pack(True, results())
    assert [sample['inputs'].shape for sample in samples] == [(1, 3, 4, 6, 6)] * 2
    assert [sample['data_samples'].view for sample in samples] == [0, 1]
    assert samples[1]['data_samples'].frame_inds.tolist() == [[4, 5, 6, 7]]
    together = pack(False, results())['inputs']
    for view, sample in enumerate(samples):
        assert (sample['inputs'][0] == together[view]).all()
    batch = repeat_pseudo_collate([samples, pack(True, results(label=1))])
    assert [int(sample.gt_label) for sample in batch['data_samples']] == [3, 3, 1, 1]
    assert len(batch['inputs']) == 4


def test_a_video_without_a_label_can_be_classified():
    sample = pack(False, results(label=None))
    assert 'gt_label' not in sample['data_samples']
    assert len(pseudo_collate([sample])['inputs']) == 1
