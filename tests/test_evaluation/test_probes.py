from functools import partial

import numpy as np
import pytest
import torch

from mmmae_st.evaluation import AttentiveProbe, Features, LinearProbe, probe_accuracy

SETTINGS = dict(lrs=(1e-6, 1e-2), epochs=30, batch_size=16, weight_decay=0.0)


def pooled(num: int, seed: int, views: int = 2) -> Features:
    """Three classes, told apart by the sign of two of eight numbers of very unequal scale."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, num)
    values = rng.normal(size=(num, views, 8))
    values[..., 0] += np.where(labels == 0, 4, -4)[:, None]
    values[..., 1] += np.where(labels == 1, 4, -4)[:, None]
    return Features((values * 10.0 ** np.arange(8)).astype(np.float32), labels)


def tokens(num: int, seed: int) -> Features:
    """The class is in one token, at a random place, marked by the last number."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, num)
    values = rng.normal(scale=0.3, size=(num, 1, 12, 8))
    for i, label in enumerate(labels):
        values[i, 0, rng.integers(12), [label, 7]] = 3
    return Features(values.astype(np.float16), labels)


def test_linear_probe_learns_whatever_the_scale_of_the_features():
    found = probe_accuracy(pooled(96, 0), pooled(60, 1), LinearProbe, **SETTINGS)
    assert list(found) == [1e-6, 1e-2]
    assert found[1e-2][0] > 0.95 and found[1e-2][1] == 1  # three classes
    assert found[1e-2][0] > found[1e-6][0]


def test_attentive_probe_finds_the_token_that_tells():
    build = partial(AttentiveProbe, num_heads=2)
    found = probe_accuracy(tokens(160, 0), tokens(60, 1), build, **SETTINGS)
    assert found[1e-2][0] > 0.9


def test_same_seed_same_result():
    args = pooled(40, 0), pooled(20, 1), LinearProbe
    settings = dict(SETTINGS, epochs=1, lrs=(1e-3,))
    results = [probe_accuracy(*args, **settings, seed=seed)[1e-3] for seed in (0, 0)]
    assert results[0] == results[1]


def test_shapes_and_gradients():
    probe = AttentiveProbe(8, 3, num_heads=2)
    probe(torch.randn(4, 12, 8)).square().sum().backward()
    assert not [name for name, param in probe.named_parameters() if param.grad is None]
    assert LinearProbe(8, 3)(torch.randn(4, 8)).shape == (4, 3)


@pytest.mark.parametrize(
    ('change', 'name'),
    [(dict(lrs=()), 'lrs'), (dict(epochs=0), 'epochs'), (dict(lrs=(-1,)), 'lrs')],
)
def test_bad_arguments_are_named(change, name):
    with pytest.raises(ValueError, match=name):
        probe_accuracy(pooled(8, 0), pooled(8, 1), LinearProbe, **dict(SETTINGS, **change))


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match='num_heads'):
        AttentiveProbe(8, 3, num_heads=3)
