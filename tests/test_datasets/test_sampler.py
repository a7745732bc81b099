"""EpochSampler: pairs, epochs, world sizes, starting in mid-epoch."""

import warnings

import pytest
from mmengine.dataset import DefaultSampler
from torch.utils.data import DataLoader

from mmmae_st.datasets import EpochSampler, VideoDataset
from mmmae_st.datasets.sample_key import PASS
from mmmae_st.registry import DATA_SAMPLERS


def samplers(num_videos: int, world_size: int) -> list[EpochSampler]:
    """One sampler a rank, as if there were so many processes."""
    result = []
    for rank in range(world_size):
        sampler = EpochSampler(range(num_videos), seed=3)
        sampler.rank, sampler.world_size = rank, world_size
        sampler.num_samples = -(-num_videos // world_size)
        sampler.total_size = sampler.num_samples * world_size
        result.append(sampler)
    return result


def test_yields_epoch_and_index():
    sampler = DATA_SAMPLERS.build(dict(type='EpochSampler', dataset=range(10), seed=0))
    first = list(sampler)
    assert sorted(first) == [(0, i) for i in range(10)]
    assert first == list(sampler)
    sampler.set_epoch(4)
    fifth = list(sampler)
    assert sorted(fifth) == [(4, i) for i in range(10)]
    assert [i for _, i in first] != [i for _, i in fifth]


@pytest.mark.parametrize('world_size', [1, 2, 3, 4, 7])
def test_ranks_share_an_epoch(world_size):
    orders = [list(sampler) for sampler in samplers(10, world_size)]
    assert len({len(order) for order in orders}) == 1
    pairs = [pair for order in orders for pair in order]
    assert len(set(pairs)) == len(pairs)
    assert {pair for pair in pairs if pair[0] == 0} == {(0, i) for i in range(10)}
    assert {epoch for epoch, _ in pairs} <= {0, PASS} and len(pairs) - 10 < world_size


@pytest.mark.parametrize('world_size', [1, 3])
def test_skip_gives_the_rest_once(world_size):
    for sampler in samplers(10, world_size):
        sampler.set_epoch(2)
        whole = list(sampler)
        sampler.skip(2)
        assert len(sampler) == len(whole)
        assert list(sampler) == whole[2:]
        assert list(sampler) == whole
        sampler.skip(len(whole))
        assert list(sampler) == []


def test_skip_out_of_range():
    sampler = EpochSampler(range(10), seed=0)
    for bad in (-1, 11):
        with pytest.raises(ValueError, match=rf'num_samples must be within \[0, 10\], got {bad}'):
            sampler.skip(bad)


@pytest.mark.parametrize(
    ('num_videos', 'multiple_of', 'length'), [(10, 4, 12), (8, 4, 8), (3, 8, 8)]
)
def test_an_epoch_is_filled_up_to_whole_updates(num_videos, multiple_of, length):
    sampler = EpochSampler(range(num_videos), seed=0, multiple_of=multiple_of)
    sampler.set_epoch(3)
    order = [index for _, index in sampler]
    assert len(set(sampler)) == length  # other clips where a video comes again
    assert [epoch for epoch, _ in sampler] == [3 + PASS * (i // num_videos) for i in range(length)]
    assert len(order) == len(sampler) == length
    assert sorted(order[:num_videos]) == list(range(num_videos))
    assert order[num_videos:] == [order[i % num_videos] for i in range(num_videos, length)]


def test_bad_multiples():
    for bad in (0, 1.5):
        with pytest.raises(ValueError, match=f'positive integer, got {bad}'):
            EpochSampler(range(10), multiple_of=bad)
    with pytest.raises(ValueError, match='needs round_up'):
        EpochSampler(range(10), multiple_of=2, round_up=False)


@pytest.mark.parametrize(('sampler', 'warned'), [(EpochSampler, False), (DefaultSampler, True)])
def test_another_sampler_without_workers_is_warned_of_in_the_second_epoch(
    tmp_path, make_clip, sampler, warned
):
    for i in range(2):
        make_clip(tmp_path / f'{i}.mp4', num_frames=4)
    dataset = VideoDataset(data_root=str(tmp_path))
    loader = DataLoader(dataset, sampler=sampler(dataset), collate_fn=list)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        list(loader)
        assert not caught
        list(loader)
    assert any('index without an epoch' in str(w.message) for w in caught) == warned
