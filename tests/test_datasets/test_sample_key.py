"""Seeds: draws stay what they were, and no two parts of a run share one."""

import itertools

import numpy as np
import pytest

from mmmae_st.datasets.sample_key import (
    epoch_of_pass,
    finetuning_mask_rng,
    replacement_rng,
    step_seeds,
    view_rng,
)

KEY = (7, 1, 2)


@pytest.mark.parametrize(
    ('rng', 'words', 'first'),
    [
        (view_rng(KEY, 3), (7, 1, 2, 3), 2920562132),
        (replacement_rng(KEY), (7, 1, 2, 0, 1), 1326361229),
        (finetuning_mask_rng(KEY, 3), (7, 1, 2, 3, 0, 2), 3092662450),
    ],
)
def test_draws_are_those_of_earlier_runs(rng, words, first):
    assert np.random.default_rng(words).integers(2**32) == rng.integers(2**32) == first


def test_seeds_of_a_step_are_those_of_earlier_runs():
    assert step_seeds(7, 1, 2) == (1734722684, 1592007562)


def test_no_two_generators_of_a_run_draw_alike():
    first = {}
    epochs = [*range(4), epoch_of_pass(0, 1), epoch_of_pass(1, 1), epoch_of_pass(0, 2)]
    for key in itertools.product((0, 1), epochs, range(4)):
        rngs = {('replacement', key): replacement_rng(key)}
        for view in range(4):
            rngs['view', key, view] = view_rng(key, view)
            rngs['mask', key, view] = finetuning_mask_rng(key, view)
        for who, rng in rngs.items():
            drawn = rng.integers(2**63)
            assert drawn not in first, (who, first[drawn])
            first[drawn] = who
    assert len(first) == 2 * 7 * 4 * 9
