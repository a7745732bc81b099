"""Sampling formulas against literal numbers."""

import numpy as np
import pytest

from mmmae_st.datasets.transforms.frame_sampling import (
    clip_frames,
    clip_span,
    frames_shown,
    num_shown,
    random_start,
    rate_varies,
    segment_frames,
    uniform_starts,
    window_starts,
)


@pytest.mark.parametrize(
    ('num_clips', 'starts'),
    [
        (7, [0, 39, 78, 117, 156, 195, 234]),
        (5, [0, 59, 118, 177, 236]),
        (1, [118]),
    ],
)
def test_test_starts(num_clips, starts):
    """300 frames at 30 frames/s, 16 frames 4 apart."""
    assert uniform_starts(300, clip_span(16, 4, 30, 30), num_clips) == starts


def test_span_lasts_equally_long_at_any_rate():
    assert clip_span(16, 4, 30, 30) == 64
    assert clip_span(16, 4, 15, 30) == 32
    assert clip_span(16, 4, 60, 30) == 128
    assert clip_span(16, 4, 0, 30) == 64  # unknown


def test_clip_frames():
    expected = [0, 4, 8, 12, 16, 21, 25, 29, 33, 37, 42, 46, 50, 54, 58, 63]
    assert clip_frames(0, 64, 16, 300).tolist() == expected
    assert clip_frames(236, 64, 16, 300)[-1] == 299
    assert clip_frames(0, 64, 16, 10).tolist() == [0, 4, 8] + [9] * 13
    assert clip_frames(0, 64, 16, 1).tolist() == [0] * 16
    assert clip_frames(0.9, 4, 4, 300).tolist() == [0, 1, 2, 3]


def test_random_starts_cover_the_video():
    rng = np.random.default_rng(0)
    starts = [random_start(300, 64, rng) for _ in range(2000)]
    assert 0 <= min(starts) < 1 and 235 < max(starts) < 236
    assert np.mean(starts) == pytest.approx(118, abs=5)
    assert random_start(20, 64, rng) == 0
    assert uniform_starts(20, 64, 3) == [0, 0, 0]


def test_segments():
    assert segment_frames(80, 8, None).tolist() == [5, 15, 25, 35, 45, 55, 65, 75]
    assert segment_frames(4, 8, None).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    rng = np.random.default_rng(0)
    draws = np.stack([segment_frames(80, 8, rng) for _ in range(500)])
    assert (draws // 10 == np.arange(8)).all()
    assert set(draws[:, 0]) == set(range(10))


def test_what_counts_as_a_rate_that_varies():
    even = np.arange(300) / 30
    rounded = np.round(even, 2)  # to hundredths, as some containers do
    late = even + 0.03 * (np.arange(300) % 50 == 7)
    dropped = np.delete(even, [100, 101, 200])
    for times in (even, rounded, late, dropped, even[:1], even[:2]):
        assert not rate_varies(times, 64)
    paused = np.concatenate([even[:150], even[150:] + 5])
    bursts = np.concatenate([np.arange(60) / 60 + second for second in range(0, 20, 2)])
    slower = np.concatenate([even[:150], even[149] + np.arange(1, 100) / 25])
    for times in (paused, bursts, slower):
        assert rate_varies(times, 64)
    short = np.concatenate([np.arange(20) / 60, 1 + np.arange(5) / 5])  # shorter than a clip
    assert rate_varies(short, 64)


def test_frames_shown_at_a_constant_rate():
    even = np.arange(300) / 30
    assert num_shown(even, 30) == 300 and num_shown(even, 15) == 150
    numbers = np.arange(300)
    np.testing.assert_array_equal(frames_shown(even + 7, 30, numbers), numbers)
    np.testing.assert_array_equal(frames_shown(np.round(even, 3), 30, numbers), numbers)
    times = np.array([0, 0.1, 0.5, 0.6])
    assert frames_shown(times, 10, np.array([[0, 1, 2], [4, 5, 6]])).tolist() == [
        [0, 1, 1],
        [1, 2, 3],
    ]
    assert num_shown(times, 10) == 8  # the last frame lasts as long as the others on average


@pytest.mark.parametrize('window', [64, 100, 290, 1000])
def test_each_clip_of_a_window_is_uniform_alone_and_near_the_others(window):
    room, drawn = 300 - 64, []
    for seed in range(4000):
        rngs = [np.random.default_rng((seed, view)) for view in range(3)]
        drawn.append(window_starts(300, 64, window, rngs))
    starts = np.array(drawn)
    assert starts.min() >= 0 and starts.max() <= room
    assert np.ptp(starts, axis=1).max() <= window - 64
    for view in starts.T:
        counts, _ = np.histogram(view, bins=8, range=(0, room))
        assert np.abs(counts / 500 - 1).max() < 0.2  # 4.5 deviations
    if window == 100:  # without a window they are a third of the video apart
        assert np.ptp(starts, axis=1).mean() < 20


def test_a_window_in_a_video_shorter_than_a_clip():
    rngs = [np.random.default_rng(view) for view in range(3)]
    assert window_starts(40, 64, 100, rngs) == [0, 0, 0]
