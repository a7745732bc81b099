import random

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data.auto_augment import rand_augment_transform

from mmmae_st.datasets.transforms import ClipRandAugment, ClipRandomErasing
from mmmae_st.datasets.transforms.augment import draw_seed, global_seed

POLICY = 'rand-m7-mstd0.5-inc1'


def rngs(index: int, views: int = 2) -> list[np.random.Generator]:
    return [np.random.default_rng((0, 0, index, view)) for view in range(views)]


def still_clips(views: int = 2) -> np.ndarray:
    """All views and frames alike."""
    frame = np.random.default_rng(7).integers(0, 256, (24, 32, 3), np.uint8)
    return np.broadcast_to(frame, (views, 4, 24, 32, 3)).copy()


def run(transform, index: int, clips=None) -> np.ndarray:
    clips = still_clips() if clips is None else clips
    return np.asarray(transform.transform(dict(clips=clips, rngs=rngs(index)))['clips'])


@pytest.mark.parametrize('index', range(12))
def test_randaugment_is_alike_in_all_frames_and_repeatable(index):
    out = run(ClipRandAugment(POLICY), index)
    assert out.dtype == np.uint8 and out.shape == (2, 4, 24, 32, 3)
    assert (out == out[:, :1]).all()
    assert np.array_equal(out, run(ClipRandAugment(POLICY), index))


def test_randaugment_changes_clips_and_views_differ():
    outs = [run(ClipRandAugment(POLICY), index) for index in range(12)]
    assert sum((out != still_clips()).any() for out in outs) >= 8
    assert sum((out[0] != out[1]).any() for out in outs) >= 8


def test_randaugment_is_that_of_timm():
    timm = rand_augment_transform(POLICY, dict(interpolation=Image.Resampling.BICUBIC))
    for index in range(6):
        out = run(ClipRandAugment(POLICY), index)
        with global_seed(draw_seed(rngs(index)[0])):
            expected = np.asarray(timm(Image.fromarray(still_clips()[0, 0])))
        assert np.array_equal(out[0, 0], expected)


@pytest.mark.parametrize('transform', [ClipRandAugment(POLICY), ClipRandomErasing(prob=1.0)])
def test_global_generators_and_input_are_left_alone(transform):
    clips = still_clips()
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    expected = random.random(), np.random.rand(), torch.rand(1)
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    run(transform, 0, list(clips))
    assert (random.random(), np.random.rand(), torch.rand(1)) == expected
    assert np.array_equal(clips, still_clips())


@pytest.mark.parametrize('index', range(6))
def test_erasing_takes_one_box_out_of_all_frames(index):
    clips = np.zeros((2, 4, 24, 32, 3), np.uint8)
    out = run(ClipRandomErasing(prob=1.0, mean=128, std=20), index, clips)
    for clip in out:
        erased = clip.any(axis=-1)
        assert (erased == erased[0]).all()
        rows, columns = np.flatnonzero(erased[0].any(1)), np.flatnonzero(erased[0].any(0))
        box = erased[0][rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert box.all() and 0.01 < box.size / erased[0].size < 0.4
        assert (clip[0] != clip[1]).any()  # noise of its own for each frame


def test_erasing_noise_is_normal_after_normalisation():
    clips = np.zeros((2, 4, 224, 224, 3), np.uint8)
    out = run(ClipRandomErasing(prob=1.0, mean=128, std=25), 0, clips)
    noise = (out[out > 0].astype(float) - 128) / 25
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02


def test_erasing_probability():
    clips = np.zeros((2, 1, 24, 32, 3), np.uint8)
    hits = [run(ClipRandomErasing(prob=0.25), i, clips)[0].any() for i in range(400)]
    assert 0.17 < np.mean(hits) < 0.33
    assert not run(ClipRandomErasing(prob=0.0), 0, clips).any()


@pytest.mark.parametrize(
    ('build', 'name'),
    [
        (lambda: ClipRandAugment('augmix-m5'), 'policy'),
        (lambda: ClipRandAugment('rand-q7'), 'policy'),
        (lambda: ClipRandAugment(interpolation='nearest'), 'interpolation'),
        (lambda: ClipRandomErasing(prob=1.5), 'prob'),
        (lambda: ClipRandomErasing(mean=300), 'mean'),
        (lambda: ClipRandomErasing(std=0), 'std'),
    ],
)
def test_bad_arguments_are_named(build, name):
    with pytest.raises(ValueError, match=name):
        build()
