"""The benchmark's judgement of measures without labels."""

import pytest

from projects.motion_benchmark.monitors import judge, judge_within, rows, spearman


def point(recipe, at, monitor, outcome):
    measures = dict.fromkeys(
        ('rank', 'rank_centred', 'wasted', 'similarity', 'retrieval', 'order', 'arrow', 'speed'),
        monitor,
    )
    return dict(
        recipe=recipe, seed=0, at=at, lidar=monitor, loss_ratio=-monitor, linear=outcome, **measures
    )


POINTS = [
    point('a', 0.5, 1.0, 0.2),
    point('a', 1.0, 2.0, 0.3),
    point('b', 0.5, 0.0, 0.6),
    point('b', 1.0, 0.5, 0.5),
]


def test_spearman_is_of_ranks():
    assert spearman([1, 2, 3], [1, 10, 100]) == pytest.approx(1)
    assert spearman([1, 2, 3], [9, 5, 1]) == pytest.approx(-1)
    assert spearman([1, 1, 2], [1, 2, 3]) == pytest.approx(0.866, abs=1e-3)


def test_points_are_lost_by_choosing_with_a_monitor():
    correlation, lost = judge(POINTS, 'lidar', 'linear')
    assert correlation == pytest.approx(-0.8) and lost == pytest.approx(30)
    assert judge(POINTS, 'loss_ratio', 'linear') == (correlation, lost)  # lower is better
    assert judge_within(POINTS, 'lidar', 'linear') == pytest.approx((0, 5))


def test_the_table_has_what_there_are_points_of():
    lines = rows(POINTS)
    assert lines[0] == '| all checkpoints | linear probe, motion, n = 4 |'
    assert '| lidar | -0.80, 30.0 |' in lines
    assert '| within each run | linear probe, motion, n = 4 |' in lines
    assert '| lidar | +0.00, 5.0 |' in lines
