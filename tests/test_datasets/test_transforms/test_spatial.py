"""Crops, resize and flip."""

import numpy as np
import pytest

from mmmae_st.datasets.transforms import (
    ClipCenterCrop,
    ClipFlip,
    ClipRandomResizedCrop,
    ClipResize,
    ClipThreeCrop,
)
from mmmae_st.datasets.transforms.spatial import random_resized_box, three_crop_corners


def results(height: int = 40, width: int = 60, num_clips: int = 2, num_frames: int = 4) -> dict:
    """Clips whose pixels tell their row, column and frame."""
    frames = []
    for t in range(num_frames):
        rows, columns = np.mgrid[:height, :width]
        frames.append(np.stack([rows, columns, np.full_like(rows, t)], -1).astype(np.uint8))
    return dict(
        clips=[list(frames) for _ in range(num_clips)],  # shared between the clips
        frame_inds=np.zeros((num_clips, num_frames), np.int64),
        rngs=[np.random.default_rng(i) for i in range(num_clips)],
    )


def test_random_resized_box_stays_in_range():
    rng = np.random.default_rng(0)
    areas, shapes = [], []
    for _ in range(2000):
        top, left, h, w = random_resized_box(256, 340, (0.5, 1.0), (0.75, 1.3333), rng)
        assert top >= 0 and left >= 0 and top + h <= 256 and left + w <= 340
        areas.append(h * w / (256 * 340))
        shapes.append(w / h)
    assert 0.49 < min(areas) < 0.52 and 0.9 < max(areas) <= 1.0
    assert 0.74 < min(shapes) < 0.8 and 1.25 < max(shapes) < 1.35


@pytest.mark.parametrize(
    ('height', 'width', 'box'),
    [
        (100, 1000, (0, 433, 100, 133)),  # too wide for any crop: the central one
        (1000, 100, (433, 0, 133, 100)),
    ],
)
def test_random_resized_box_falls_back_to_the_centre(height, width, box):
    rng = np.random.default_rng(0)
    assert random_resized_box(height, width, (1.0, 1.0), (0.75, 1.3333), rng) == box


def test_random_resized_crop():
    out = ClipRandomResizedCrop(32)(results())['clips']
    assert out.shape == (2, 4, 32, 32, 3) and out.dtype == np.uint8
    for clip in out:  # all frames alike
        assert (clip[..., :2] == clip[0, ..., :2]).all()
        assert clip[:, 0, 0, 2].tolist() == [0, 1, 2, 3]
    assert not np.array_equal(out[0], out[1])  # clips apart
    np.testing.assert_array_equal(out, ClipRandomResizedCrop(32)(results())['clips'])


def test_source_frames_are_not_written():
    data = results()
    before = [frame.copy() for frame in data['clips'][0]]
    originals = list(data['clips'][0])
    for transform in (ClipFlip(1.0), ClipRandomResizedCrop(32), ClipFlip(1.0)):
        data = transform(data)
    for frame, expected in zip(originals, before, strict=True):
        np.testing.assert_array_equal(frame, expected)


@pytest.mark.parametrize(
    ('height', 'width', 'expected'), [(40, 60, (20, 30)), (60, 40, (30, 20)), (31, 47, (20, 30))]
)
def test_resize_short_side(height, width, expected):
    out = ClipResize(20)(results(height, width))['clips']
    assert out.shape == (2, 4, *expected, 3)


def test_center_crop():
    out = ClipCenterCrop(31)(results())['clips']
    assert out.shape == (2, 4, 31, 31, 3)
    assert out[0, 0, 0, 0].tolist() == [5, 15, 0]  # ceil(9 / 2), ceil(29 / 2)


@pytest.mark.parametrize(
    ('height', 'width', 'corners'),
    [
        (224, 299, [(0, 0), (0, 38), (0, 75)]),  # ceil(75 / 2) = 38
        (299, 224, [(0, 0), (38, 0), (75, 0)]),
        (224, 224, [(0, 0)] * 3),
    ],
)
def test_three_crop_corners(height, width, corners):
    assert three_crop_corners(height, width, 224) == corners


def test_three_crop():
    data = results(40, 61)
    data['frame_inds'] += np.arange(2)[:, None]
    data = ClipThreeCrop(40)(data)
    assert data['clips'].shape == (6, 4, 40, 40, 3)
    assert data['clips'][:, 0, 0, 0, 1].tolist() == [0, 11, 21] * 2
    assert data['frame_inds'][:, 0].tolist() == [0, 0, 0, 1, 1, 1]
    assert len(data['rngs']) == 6


def test_flip():
    data = results()
    np.testing.assert_array_equal(
        np.stack(ClipFlip(1.0)(results())['clips'][1]),
        np.stack([frame[:, ::-1] for frame in data['clips'][1]]),
    )
    np.testing.assert_array_equal(
        np.stack(ClipFlip(0.0)(results())['clips'][0]), np.stack(data['clips'][0])
    )
    stacked = results()
    stacked['clips'] = np.stack([np.stack(clip) for clip in stacked['clips']])
    expected = stacked['clips'][:, :, :, ::-1].copy()
    np.testing.assert_array_equal(ClipFlip(1.0)(stacked)['clips'], expected)
    many = results(num_clips=400, num_frames=1, height=2, width=2)
    flipped = sum(int(clip[0][0, 0, 1] == 1) for clip in ClipFlip(0.5)(many)['clips'])
    assert 150 < flipped < 250


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: ClipRandomResizedCrop(0), 'size must be an integer >= 1, got 0'),
        (lambda: ClipRandomResizedCrop(9, scale=(0.5, 1.5)), r'scale must be .* got \(0.5, 1.5\)'),
        (lambda: ClipRandomResizedCrop(9, ratio=(2, 1)), r'ratio must be .* got \(2, 1\)'),
        (lambda: ClipResize(9, 'nearest'), "interpolation must be one of .* got 'nearest'"),
        (lambda: ClipFlip(1.5), r'prob must be within \[0, 1\], got 1.5'),
        (lambda: ClipCenterCrop(50)(results()), 'size 50 exceeds the clip of 40x60'),
        (lambda: ClipThreeCrop(50)(results()), 'size 50 exceeds the clip of 40x60'),
    ],
)
def test_bad_arguments(build, message):
    with pytest.raises(ValueError, match=message):
        build()
