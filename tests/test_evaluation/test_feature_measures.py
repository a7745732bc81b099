import math

import pytest
import torch

from mmmae_st.evaluation.feature_measures import (
    effective_rank,
    lidar,
    pair_probe,
    pair_similarity,
    same_video_nearest,
    wasted_share,
)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


def test_rank_counts_directions_of_equal_weight(rng):
    basis = torch.linalg.qr(torch.randn(50, 5, generator=rng))[0]
    directions = torch.linalg.qr(torch.randn(16, 5, generator=rng))[0]
    assert effective_rank(basis @ directions.T) == pytest.approx(5, abs=1e-3)
    uneven = basis * torch.tensor([4.0, 2.0, 1.0, 1.0, 0.0])
    shares = [1 / 2, 1 / 4, 1 / 8, 1 / 8]
    expected = math.exp(-sum(p * math.log(p) for p in shares))
    assert effective_rank(uneven @ directions.T) == pytest.approx(expected, abs=1e-3)
    assert effective_rank(torch.ones(50, 16)) == pytest.approx(1, abs=1e-3)


def test_lidar_is_that_of_the_formula(rng):
    features = torch.randn(12, 3, 6, generator=rng, dtype=torch.float64)
    features += 3 * torch.randn(12, 1, 6, generator=rng, dtype=torch.float64)
    means = features.mean(dim=1)
    between = sum(torch.outer(m, m) for m in means - means.mean(dim=0)) / 11
    rest = (features - means[:, None]).flatten(0, 1)
    within = sum(torch.outer(r, r) for r in rest) / 36 + 1e-4 * torch.eye(6, dtype=torch.float64)
    values = torch.linalg.eigvals(torch.linalg.inv(within) @ between).real
    shares = values / values.sum()
    expected = float(torch.exp(-(shares * shares.log()).sum()))
    assert lidar(features.float()) == pytest.approx(expected, rel=1e-4)


def test_lidar_falls_where_only_one_direction_tells_videos_apart(rng):
    noise = 0.1 * torch.randn(32, 4, 8, generator=rng)
    wide = torch.randn(32, 1, 8, generator=rng)
    narrow = wide * torch.tensor([1.0] + [0.0] * 7)
    assert lidar(wide + noise) > 4 > 2.5 > lidar(narrow + noise)
    with pytest.raises(ValueError, match='two clips or more of each video, got 1'):
        lidar(wide)


def test_dead_and_identical_directions_are_wasted(rng):
    features = torch.randn(64, 8, generator=rng)
    assert wasted_share(features) == 0
    features[:, 1] = 3.0  # dead
    features[:, 2] = -2 * features[:, 0] + 5  # the same as another
    features[:, 3] = features[:, 0]
    assert wasted_share(features) == pytest.approx(3 / 8)
    assert wasted_share(torch.ones(64, 8)) == 1


def test_similarity_is_of_different_videos():
    one_hot = torch.eye(3)[:, None].repeat(1, 2, 1)  # clips of a video are alike, videos orthogonal
    assert pair_similarity(one_hot) == pytest.approx(0)
    assert pair_similarity(one_hot + 100) == pytest.approx(1, abs=1e-3)


def test_retrieval(rng):
    videos = torch.randn(16, 1, 8, generator=rng)
    noise = torch.randn(16, 3, 8, generator=rng)
    assert same_video_nearest(videos + 0.01 * noise + 50) == 1  # whatever all have in common
    chance = same_video_nearest(torch.randn(200, 2, 4, generator=rng))
    assert chance < 0.05


def test_a_probe_sees_what_is_there_and_no_more(rng):
    content = 10 * torch.randn(24, 4, 16, generator=rng)
    effect = torch.zeros(16)
    effect[3] = 0.5
    noise = 0.1 * torch.randn(24, 4, 16, generator=rng)
    assert pair_probe(content, content + effect + noise) > 0.95
    assert 0.3 < pair_probe(content, content + noise) < 0.7
    assert pair_probe(content, content.clone()) == 0.5  # nothing to tell them apart by


def test_a_probe_is_not_asked_about_videos_that_it_has_seen(rng):
    """An effect that each video has for itself cannot be found in others."""
    content = torch.randn(40, 4, 64, generator=rng)
    own = torch.randn(40, 1, 64, generator=rng).expand(-1, 4, -1)
    assert 0.3 < pair_probe(content, content + own) < 0.7
