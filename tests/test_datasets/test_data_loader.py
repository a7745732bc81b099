"""The whole loader: equal samples for any number of workers, over epochs and replacements."""

import shutil

import pytest
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mmmae_st.datasets import EpochSampler, VideoDataset

PIPELINE = [
    dict(type='LoadClips', clip_len=4, frame_interval=2, num_clips=2),
    dict(type='ClipRandomResizedCrop', size=32),
    dict(type='ClipFlip'),
    dict(type='RandomMasking', ratio=0.75, patch_size=8),
    dict(type='PackClips'),
]


@pytest.fixture
def dataset(clips, tmp_path):
    for i, kind in enumerate(['plain', 'b_frames', 'open_gop', 'vfr', 'short', 'odd']):
        shutil.copy(clips[kind], tmp_path / f'{i}.mp4')
    (tmp_path / '6.mp4').write_bytes(b'')
    return VideoDataset(data_root=str(tmp_path), pipeline=PIPELINE, seed=5)


def read_epochs(dataset, num_workers: int, skip: int = 0) -> list:
    sampler = EpochSampler(dataset, seed=1)
    loader = DataLoader(
        dataset,
        batch_size=2,
        sampler=sampler,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        collate_fn=pseudo_collate,
    )
    samples = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        if epoch == 1:
            sampler.skip(skip)
        for batch in loader:
            for inputs, ids, meta in zip(
                batch['inputs'], batch['ids_keep'], batch['data_samples'], strict=True
            ):
                samples.append((inputs.clone(), ids.clone(), meta.metainfo))
    return samples


def test_same_samples_for_any_number_of_workers(dataset):
    expected = read_epochs(dataset, 0)
    assert len(expected) == 14
    assert sum(bool(meta['failures']) for *_, meta in expected) == 2
    for num_workers in (1, 4):
        samples = read_epochs(dataset, num_workers)
        for (inputs, ids, meta), (inputs_0, ids_0, meta_0) in zip(samples, expected, strict=True):
            assert torch.equal(inputs, inputs_0) and torch.equal(ids, ids_0)
            assert meta['failures'] == meta_0['failures']
            assert (meta['epoch'], meta['index']) == (meta_0['epoch'], meta_0['index'])


def test_epochs_and_views_differ(dataset):
    samples = read_epochs(dataset, 0)
    by_key = {(meta['epoch'], meta['index']): ids for _, ids, meta in samples}
    assert not torch.equal(by_key[0, 1], by_key[1, 1])
    assert not torch.equal(by_key[0, 1][0], by_key[0, 1][1])
    masks = [tuple(view.tolist()) for _, ids, _ in samples for view in ids]
    assert len(set(masks)) == len(masks)


def test_a_resumed_epoch_continues_exactly(dataset):
    whole, resumed = read_epochs(dataset, 1), read_epochs(dataset, 1, skip=4)
    assert len(whole) - len(resumed) == 4
    for (inputs, ids, _), (inputs_0, ids_0, _) in zip(resumed[7:], whole[11:], strict=True):
        assert torch.equal(inputs, inputs_0) and torch.equal(ids, ids_0)


@pytest.mark.filterwarnings('error')
def test_a_sampler_that_tells_no_epoch_is_warned_of(dataset):
    # As the Runner starts workers on every Python; they take over what makes warnings errors.
    options = dict(num_workers=1, multiprocessing_context='fork', collate_fn=pseudo_collate)
    with pytest.raises(UserWarning, match='every epoch has the same views and masks'):
        next(iter(DataLoader(dataset, **options)))
    dataset.test_mode = True
    next(iter(DataLoader(dataset, **options)))
