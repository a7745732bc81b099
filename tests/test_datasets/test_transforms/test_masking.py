"""Masks: exact counts, shapes of what is removed, errors."""

import numpy as np
import pytest
from support.blank_clips import blank_clips

from mmmae_st.datasets.transforms import BlockMasking, FrameMasking, RandomMasking, TubeMasking
from mmmae_st.datasets.transforms.masking import draw_random, num_keep

GRID = (8, 14, 14)
MASKINGS = [RandomMasking, TubeMasking, FrameMasking, BlockMasking]


def kept(masking, ratio: float, **args) -> np.ndarray:
    """(R, t, h, w) bool, True where kept."""
    data = masking(ratio, **args)(blank_clips())
    assert data['grid'] == GRID and data['ids_keep'].dtype == np.int64
    assert (np.diff(data['ids_keep']) > 0).all()  # sorted, none twice
    mask = np.zeros((3, 1568), bool)
    np.put_along_axis(mask, data['ids_keep'], True, 1)
    return mask.reshape(3, *GRID)


@pytest.mark.parametrize(
    ('ratio', 'count'), [(0.5, 784), (0.75, 392), (0.9, 156), (0.95, 78), (0.98, 31)]
)
@pytest.mark.parametrize('masking', [RandomMasking, BlockMasking])
def test_counts(masking, ratio, count):
    assert (kept(masking, ratio).sum((1, 2, 3)) == count).all()


@pytest.mark.parametrize('percent', range(1, 100))
def test_no_token_is_lost_to_rounding(percent):
    for total in (8, 10, 64, 100, 160, 196, 256, 1568, 3136):
        keep = total * (100 - percent) // 100  # of whole numbers
        if keep:
            assert num_keep(total, percent / 100) == keep, total
    for parts in (3, 6, 7, 49):  # ratios that are no decimal numbers
        assert num_keep(parts * percent, 1 - 1 / parts) == percent


def test_at_least_one_token_is_removed():
    assert num_keep(1568, 1e-9) == 1567
    assert len(TubeMasking(1e-9, rule='ceil').draw(GRID, np.random.default_rng(0))) == 1568 - 8


@pytest.mark.parametrize(('ratio', 'count'), [(0.5, 98), (0.75, 49), (0.9, 19), (0.98, 3)])
def test_tube(ratio, count):
    mask = kept(TubeMasking, ratio)
    assert (mask.sum((2, 3)) == count).all()
    assert (mask == mask[:, :1]).all()


@pytest.mark.parametrize(('ratio', 'positions'), [(0.5, 98), (0.75, 49), (0.9, 20), (0.98, 4)])
def test_tube_of_videomae_is_rounded_up(ratio, positions):
    mask = kept(TubeMasking, ratio, rule='ceil')
    assert (mask.sum((2, 3)) == positions).all()
    assert (mask == mask[:, :1]).all()


@pytest.mark.parametrize(('ratio', 'count'), [(0.5, 784), (0.75, 392), (0.9, 156), (0.98, 31)])
def test_tube_of_pyslowfast_counts_tokens(ratio, count):
    slices = kept(TubeMasking, ratio, rule='tokens').sum(1)
    assert (slices.sum((1, 2)) == count).all()
    whole, partly = slices == 8, (slices > 0) & (slices < 8)
    assert (whole.sum((1, 2)) == count // 8).all()
    assert (partly.sum((1, 2)) == (count % 8 > 0)).all()


def test_the_rules_of_tubes_take_the_same_positions():
    for rule in ('ceil', 'tokens'):
        assert kept(TubeMasking, 0.9, rule=rule)[kept(TubeMasking, 0.9)].all()
    with pytest.raises(ValueError, match="rule must be one of .*'floor'.* got 'round'"):
        TubeMasking(rule='round')


@pytest.mark.parametrize(('ratio', 'count'), [(0.5, 4), (0.75, 2), (0.875, 1)])
def test_frame(ratio, count):
    mask = kept(FrameMasking, ratio).reshape(3, 8, 196)
    assert (mask.all(2).sum(1) == count).all()
    assert (mask.all(2) == mask.any(2)).all()


def test_blocks_are_larger_than_random_removal():
    """Kept tokens of block masking have more kept neighbours than those of random masking."""

    def neighbours(mask):
        return (mask[:, :, :-1] & mask[:, :, 1:]).sum() / mask.sum()

    assert neighbours(kept(BlockMasking, 0.75)) > 2 * neighbours(kept(RandomMasking, 0.75))


def test_random_masking_is_uniform():
    rng = np.random.default_rng(0)
    counts = np.zeros(64)
    for _ in range(4000):
        counts[draw_random((4, 4, 4), 0.75, rng)] += 1
    assert counts.min() > 850 and counts.max() < 1150  # 1000 expected, sd 27


@pytest.mark.parametrize('masking', MASKINGS)
def test_views_differ_and_seeds_repeat(masking):
    ids, again = masking(0.75)(blank_clips())['ids_keep'], masking(0.75)(blank_clips())['ids_keep']
    np.testing.assert_array_equal(ids, again)
    if masking is not FrameMasking:  # 28 choices of frames: equal ones are likely
        assert len({tuple(row) for row in ids.tolist()}) == 3


def test_other_sizes():
    data = RandomMasking(0.9, patch_size=8, tubelet_size=4)(blank_clips(shape=(8, 32, 48)))
    assert data['grid'] == (2, 4, 6) and data['ids_keep'].shape == (3, 4)


@pytest.mark.parametrize('masking', MASKINGS)
@pytest.mark.parametrize('ratio', [0, 1, 1.5, -0.1, float('nan')])
def test_ratio_out_of_range(masking, ratio):
    with pytest.raises(ValueError, match=rf'ratio must be within \(0, 1\).*got {ratio}'):
        masking(ratio)


@pytest.mark.parametrize(
    ('masking', 'ratio', 'of'),
    [(RandomMasking, 0.9999, 1568), (TubeMasking, 0.999, 196), (FrameMasking, 0.9, 8)],
)
def test_ratio_that_keeps_nothing(masking, ratio, of):
    with pytest.raises(ValueError, match=rf'ratio {ratio} keeps none of {of}'):
        masking(ratio)(blank_clips())


@pytest.mark.parametrize(
    ('shape', 'message'),
    [
        ((15, 224, 224), '15 frames does not divide into tubelets of 2'),
        ((16, 225, 224), '225x224 pixels do not divide into patches of 16x16'),
        ((16, 224, 100), '224x100 pixels do not divide into patches of 16x16'),
    ],
)
def test_indivisible_clip(shape, message):
    with pytest.raises(ValueError, match=message):
        RandomMasking(0.9)(blank_clips(shape=shape))


def test_bad_sizes():
    with pytest.raises(ValueError, match='patch_size must be an integer >= 1, got 0'):
        RandomMasking(0.9, patch_size=0)
    with pytest.raises(ValueError, match='tubelet_size must be an integer >= 1, got -2'):
        RandomMasking(0.9, tubelet_size=-2)


def test_a_strategy_that_keeps_different_numbers_is_named():
    class Uneven(RandomMasking):
        def draw(self, grid, rng):
            return np.arange(1 + rng.integers(100))

    rngs = [np.random.default_rng(seed) for seed in (0, 1)]
    clips = np.zeros((2, 4, 32, 32, 3), np.uint8)
    with pytest.raises(ValueError, match=r'Uneven.draw must keep equally many .* got \[\d+, \d+\]'):
        Uneven().transform(dict(clips=clips, rngs=rngs))
