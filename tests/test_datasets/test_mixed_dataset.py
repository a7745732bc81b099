"""MixedVideoDataset: shares, passes, determinism, broken videos, bad arguments."""

import shutil
from collections import Counter
from functools import partial

import cv2
import numpy as np
import pytest
from torch.utils.data import DataLoader

from mmmae_st.datasets import EpochSampler, MixedVideoDataset, VideoDataset
from mmmae_st.datasets.mixed_dataset import whole_shares
from mmmae_st.registry import DATASETS

LOAD = dict(type='LoadClips', clip_len=4, frame_interval=2)
CROP = [dict(type='ClipRandomResizedCrop', size=32), dict(type='PackClips')]


def unread(results):
    """A pipeline that opens nothing."""
    return results


@pytest.fixture
def lists(tmp_path):
    """Two lists: seven videos a, three videos b. There are no such files."""
    for name, number in (('a', 7), ('b', 3)):
        lines = [f'{name}{i}.mp4\n' for i in range(number)]
        (tmp_path / f'{name}.txt').write_text(''.join(lines))
    source = partial(dict, type='VideoDataset', pipeline=[unread])
    return [source(ann_file=str(tmp_path / f'{name}.txt')) for name in 'ab']


def epoch_of(dataset, epoch):
    return [dataset[(epoch, index)] for index in range(len(dataset))]


def test_shares_are_exact_and_what_is_left_goes_to_the_largest_remainders():
    assert whole_shares([3, 1], 40) == [30, 10]
    assert whole_shares([1, 1, 1], 10) == [4, 3, 3]
    assert whole_shares([0.7, 0.29, 0.01], 10) == [7, 3, 0]
    assert sum(whole_shares([0.1] * 7, 1000)) == 1000


@pytest.mark.parametrize(
    ('options', 'wanted'),
    [
        (dict(), dict(a=7, b=3)),
        (dict(weights=[1, 1]), dict(a=5, b=5)),
        (dict(weights=[0.2, 0.8], length=40), dict(a=8, b=32)),
    ],
)
def test_each_epoch_has_the_shares(lists, options, wanted):
    dataset = MixedVideoDataset(lists, **options)
    assert len(dataset) == sum(wanted.values()) == sum(dataset.shares)
    for epoch in range(3):
        assert Counter(s['path'][0] for s in epoch_of(dataset, epoch)) == wanted


def test_all_videos_of_a_source_come_before_one_comes_again(lists):
    dataset = MixedVideoDataset(lists, weights=[1, 2], length=9)  # 3 of 7, and 6 of 3
    seen = [sample['path'] for epoch in range(7) for sample in epoch_of(dataset, epoch)]
    assert Counter(seen) == {f'a{i}.mp4': 3 for i in range(7)} | {f'b{i}.mp4': 14 for i in range(3)}
    of_a = [path for path in seen if path[0] == 'a']
    passes = [of_a[i : i + 7] for i in (0, 7, 14)]
    assert all(len(set(one)) == 7 for one in passes) and passes[0] != passes[1]


def test_a_sample_is_that_of_the_source_alone_and_no_two_draw_alike(lists):
    dataset = MixedVideoDataset([*lists, lists[0]], weights=[1, 2, 1], length=12, seed=5)
    samples = [sample for epoch in range(8) for sample in epoch_of(dataset, epoch)]
    keys = {sample['sample_key'] for sample in samples}
    assert len(keys) == len(samples) and len({seed for seed, _, _ in keys}) == 3
    alone = VideoDataset(**{k: v for k, v in lists[1].items() if k != 'type'})
    alone.seed = dataset.datasets[1].seed
    for sample in samples:
        if sample['path'][0] == 'b':
            assert sample == alone[sample['sample_key'][1:]] | dict(source=sample['source'])
    assert {sample['source'].split()[0] for sample in samples} == {
        f'datasets[{i}]' for i in range(3)
    }
    again = MixedVideoDataset([*lists, lists[0]], weights=[1, 2, 1], length=12, seed=6)
    assert epoch_of(again, 0) != epoch_of(dataset, 0)


def collected(dataset, workers, rank=0, world_size=1):
    sampler = EpochSampler(dataset, seed=1)
    sampler.rank, sampler.world_size = rank, world_size
    sampler.num_samples = len(dataset) // world_size
    loader = DataLoader(
        dataset, batch_size=2, sampler=sampler, num_workers=workers, collate_fn=list
    )
    return [sample for batch in loader for sample in batch]


def test_workers_and_processes_change_nothing(lists):
    dataset = MixedVideoDataset(lists, weights=[1, 1], length=12, lazy_init=True)
    alone = collected(dataset, workers=0)
    assert collected(dataset, workers=2) == alone
    assert [collected(dataset, 0, rank, 2) for rank in range(2)] == [alone[::2], alone[1::2]]


def test_sources_differ_in_kind_and_in_frame_rate(clips, tmp_path):
    (tmp_path / 'files').mkdir()
    for i in range(3):
        shutil.copy(clips['plain'], tmp_path / 'files' / f'{i}.mp4')
    (tmp_path / 'files' / 'broken.mp4').write_bytes(b'no video')
    for name in 'xy':
        (tmp_path / 'frames' / name).mkdir(parents=True)
        for i in range(1, 13):
            picture = np.full((48, 64, 3), 10 * i, np.uint8)
            cv2.imwrite(str(tmp_path / 'frames' / name / f'img_{i:05}.jpg'), picture)
    dataset = DATASETS.build(
        dict(
            type='MixedVideoDataset',
            datasets=[
                dict(
                    type='VideoDataset', data_root=str(tmp_path / 'files'), pipeline=[LOAD, *CROP]
                ),
                dict(
                    type='VideoDataset',
                    data_root=str(tmp_path / 'frames'),
                    frame_tmpl='img_{:05}.jpg',
                    pipeline=[dict(LOAD, frame_interval=3), *CROP],
                ),
            ],
            weights=[2, 1],
            length=12,
        )
    )
    samples = [sample['data_samples'] for sample in epoch_of(dataset, 0)]
    for place, (kind, step) in enumerate((('files', 2), ('frames', 3))):
        own = [s for s in samples if s.source == f'datasets[{place}] ({tmp_path / kind})']
        assert len(own) == (8, 4)[place]
        assert all(f'/{kind}/' in s.path and np.ptp(s.frame_inds) == 4 * step - 1 for s in own)
    failures = [failure for sample in samples for failure in sample.failures]
    assert {path for path, _ in failures} == {str(tmp_path / 'files' / 'broken.mp4')}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(datasets=[]), 'datasets must be a list of at least one dict'),
        (dict(weights=[1]), r'weights must be 2 numbers, one for each of datasets: \[1\]'),
        (dict(weights=[1, 0]), r'weights\[1\] must be a number greater than 0, got 0'),
        (dict(weights=[1, -2.0]), r'weights\[1\] must be a number greater than 0, got -2\.0'),
        (dict(weights=['3', 1]), r"weights\[0\] must be a number greater than 0, got '3'"),
        (dict(weights=[float('nan'), 1]), r'weights\[0\] must be a number greater than 0, got nan'),
        (
            dict(weights=[1, 0.001], length=10),
            r'datasets\[1\] \(.*b\.txt\) must have at least one of the 10 samples of an epoch: '
            r'raise weights\[1\] or length',
        ),
        (dict(length=0), 'length must be an integer of at least 1, got 0'),
        (dict(seed=-1), 'seed must be an integer >= 0, got -1'),
        (dict(datasets=['a.txt']), r"datasets\[0\] must be dict\(type='VideoDataset', .*'a.txt'"),
        (
            dict(datasets=[dict(type='VideoDataset', ann_file='a.txt', seed=1)]),
            r'datasets\[0\]\.seed must be left out: the mixture gives it',
        ),
        (
            dict(datasets=[dict(type='VideoDataset')]),
            r'datasets\[0\]: .*one of ann_file, data_root',
        ),
        (
            dict(datasets=[dict(type='MixedVideoDataset', datasets=[])]),
            r'datasets\[0\]',
        ),
    ],
)
def test_bad_arguments_are_named(lists, options, message):
    with pytest.raises(ValueError, match=message):
        MixedVideoDataset(**dict(datasets=lists) | options)


def test_an_index_out_of_range(lists):
    dataset = MixedVideoDataset(lists)
    assert dataset[(1, -1)] == dataset[(1, 9)] and dataset[3] == dataset[(0, 3)]
    with pytest.raises(IndexError, match='index 10 is out of range for 10 samples'):
        dataset[(0, 10)]
