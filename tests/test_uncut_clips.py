"""Clips cut on the device are those that a worker cuts."""

import av
import cv2
import numpy as np
import pytest
import torch
from av.video.reformatter import VideoReformatter
from mmengine.dataset import Compose, pseudo_collate
from torch.utils.data import DataLoader

from mmmae_st.datasets import VideoDataset
from mmmae_st.datasets.readers import open_video, planes_of_rgb
from mmmae_st.datasets.transforms import ClipRandAugment
from mmmae_st.models import ClipDataPreprocessor
from mmmae_st.registry import TRANSFORMS
from mmmae_st.uncut_clips import Planes, UncutClips, clip_shape, to_rgb

SPATIAL = [
    dict(type='ClipRandomResizedCrop', size=32),
    dict(type='ClipFlip'),
    dict(type='RandomMasking', ratio=0.75, patch_size=8),
    dict(type='PackClips'),
]


def pipeline(on_device, spatial=SPATIAL, **load):
    first = dict(
        type='LoadClips', clip_len=4, frame_interval=2, num_clips=3, cut_on_device=on_device
    )
    return Compose([TRANSFORMS.build(step) for step in [dict(first, **load), *spatial]])


def smooth(height, width, seed=0):
    colours = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3))
    return cv2.resize(colours.astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize('full_range', [False, True])
@pytest.mark.parametrize('colour_space', [1, 2, 5, 6, 7, 9])
def test_colours_are_those_of_swscale(colour_space, full_range):
    frame = av.VideoFrame.from_ndarray(smooth(48, 64), format='rgb24')
    frame = VideoReformatter().reformat(frame, format='yuv420p')
    frame.colorspace, frame.color_range = colour_space, 2 if full_range else 1
    parts = torch.from_numpy(frame.to_ndarray())
    chroma = parts[48:].reshape(1, 2, 24, 32)
    rgb = to_rgb(Planes(parts[None, :48], chroma, colour_space, full_range))
    expected = VideoReformatter().reformat(frame, format='rgb24').to_ndarray()
    np.testing.assert_array_equal(rgb[0].permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize('kind', ['b_frames', 'open_gop', 'vfr', 'rotated', 'vp9', 'mpeg4', 'ts'])
def test_clips_are_those_of_the_worker(clips, record, kind):
    there = pipeline(False)(record(clips[kind], seed=3))
    uncut = pipeline(True)(record(clips[kind], seed=3))
    assert uncut['inputs'].shape == there['inputs'].shape and len(uncut['inputs']) == 3
    assert torch.equal(uncut['ids_keep'], there['ids_keep'])
    here = uncut['inputs'].cut()
    assert here.dtype == torch.uint8 and here.shape == there['inputs'].shape
    difference = (here.int() - there['inputs'].int()).abs()
    assert difference.max() <= 1 and 0 < difference.float().mean() < 0.2
    frames = uncut['data_samples'].frame_inds
    np.testing.assert_array_equal(frames, there['data_samples'].frame_inds)
    assert len(uncut['inputs'].planes.luma) == len(np.unique(frames))  # each frame once


@pytest.mark.parametrize(
    'spatial',
    [
        [dict(type='PackClips')],
        [dict(type='ClipFlip', prob=1.0), dict(type='ClipFlip', prob=1.0), dict(type='PackClips')],
        [dict(type='ClipFlip', prob=1.0), dict(type='PackClips')],
    ],
)
def test_whole_frames_are_equal_to_the_bit(clips, record, spatial):
    here, there = (pipeline(k, spatial)(record(clips['plain']))['inputs'] for k in (True, False))
    assert torch.equal(here.cut(), there)


def test_bicubic_and_resize(clips, record):
    for step in (
        dict(type='ClipRandomResizedCrop', size=32, interpolation='bicubic'),
        dict(type='ClipResize', short_side=32),
    ):
        spatial = [step, dict(type='PackClips')]
        here, there = (
            pipeline(k, spatial)(record(clips['plain']))['inputs'] for k in (True, False)
        )
        assert (here.cut().int() - there.int()).abs().max() <= 2


@pytest.mark.parametrize('kind', ['odd', 'one_frame', 'short'])
def test_odd_files_come_out_in_the_same_shapes(clips, record, kind):
    here, there = (pipeline(k)(record(clips[kind]))['inputs'] for k in (True, False))
    assert here.cut().shape == there.shape
    assert (here.cut().int() - there.int()).abs().float().mean() < 25  # 4:4:4 noise loses colour


def test_frame_folders_and_other_readers(tmp_path, clips, record):
    for number in range(12):
        cv2.imwrite(str(tmp_path / f'{number}.png'), smooth(49, 65, number))
    records = [dict(record(tmp_path), frame_tmpl='{}.png')] * 2
    here, there = (pipeline(k)(r)['inputs'] for k, r in zip((True, False), records, strict=True))
    assert (here.cut().int() - there.int()).abs().float().mean() < 8
    planes = planes_of_rgb([smooth(48, 64)])
    assert (to_rgb(planes)[0].permute(1, 2, 0).int() - smooth(48, 64)).abs().float().mean() < 8
    with open_video(str(clips['plain'])) as reader:
        assert reader.read_planes([7, 3, 7])[0] == [3, 7]


def test_a_loader_sends_them_and_the_preprocessor_cuts_them(clips):
    batches = []
    for on_device in (True, False):
        dataset = VideoDataset(
            data_prefix=dict(video=str(clips['plain'].parent)),
            extensions=('plain.mp4', 'b_frames.mp4'),
            pipeline=pipeline(on_device).transforms,
        )
        loader = DataLoader(
            dataset,
            2,
            sampler=[(1, 0), (1, 1)],
            num_workers=int(on_device),
            collate_fn=pseudo_collate,
        )
        (batch,) = loader
        batches.append(ClipDataPreprocessor()(batch))
    here, there = batches
    assert here['inputs'].shape == there['inputs'].shape == (6, 3, 4, 32, 32)
    assert (here['inputs'] - there['inputs']).abs().max() < 1.01 / 57.375
    assert torch.equal(here['ids_keep'], there['ids_keep'])


def test_views_can_be_taken_out(clips, record):
    uncut = pipeline(True)(record(clips['plain']))['inputs']
    assert torch.equal(uncut[:1].cut(), uncut.cut()[:1])
    assert torch.equal(uncut[1:].cut(), uncut.cut()[1:])
    assert clip_shape(uncut) == (4, 32, 32)


def test_an_unreadable_video_may_be_blank(tmp_path, record):
    packed = pipeline(True, unreadable='blank')(record(tmp_path / 'missing.mp4'))
    assert packed['inputs'].cut().max() == 0 and packed['inputs'].shape == (3, 3, 4, 32, 32)


def test_what_cannot_be_done_on_the_device(clips, record):
    crop = dict(type='ClipRandomResizedCrop', size=32)
    for steps, message in (
        ([crop, dict(type='ClipCenterCrop', size=16)], 'cut on the device once'),
        ([dict(crop, interpolation='area')], "interpolation must be one of .* got 'area'"),
    ):
        with pytest.raises(ValueError, match=message):
            pipeline(True, steps)(record(clips['plain']))
    loaded = pipeline(True, [])(record(clips['plain']))
    assert isinstance(loaded['clips'], UncutClips)
    with pytest.raises(ValueError, match='no transform but ClipRandomResizedCrop'):
        ClipRandAugment()(loaded)
    with pytest.raises(ValueError, match='short_side and cut_on_device exclude each other'):
        pipeline(True, short_side=32)
