"""LoadClips: R clips of one decode."""

import pickle
import shutil
import time
import warnings

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from mmmae_st.datasets import VideoDataset
from mmmae_st.datasets.readers import PyAVReader, VideoReadError
from mmmae_st.datasets.transforms import LoadClips
from mmmae_st.datasets.transforms.frame_sampling import clip_frames, random_start


def test_clips_hold_the_frames_named(clips, record):
    results = LoadClips(clip_len=8, frame_interval=2, num_clips=3)(record(clips['b_frames']))
    assert results['frame_inds'].shape == (3, 8) and results['frame_inds'].dtype == np.int64
    with PyAVReader(str(clips['b_frames'])) as reader:
        frames = reader.read(range(40))
    for clip, indices in zip(results['clips'], results['frame_inds'], strict=True):
        for frame, index in zip(clip, indices, strict=True):
            np.testing.assert_array_equal(frame, frames[index])


def test_each_view_has_its_own_start_and_generator(clips, record):
    load = LoadClips(clip_len=4, frame_interval=2, num_clips=4)
    first = load(record(clips['plain'], seed=1, epoch=2, index=3))
    again = load(record(clips['plain'], seed=1, epoch=2, index=3))
    np.testing.assert_array_equal(first['frame_inds'], again['frame_inds'])
    assert len({tuple(row) for row in first['frame_inds'].tolist()}) == 4
    expected = np.random.default_rng((1, 2, 3, 2))
    expected.uniform(0, 1)  # the clip's start
    assert first['rngs'][2].random() == expected.random()


def test_more_views_leave_the_first_ones_alone(clips, record):
    two, four = (
        LoadClips(clip_len=4, num_clips=r)(record(clips['plain']))['frame_inds'] for r in (2, 4)
    )
    np.testing.assert_array_equal(two, four[:2])


def test_one_decode_serves_all_clips(clips, record, monkeypatch):
    opened = []
    init = PyAVReader.__init__

    def counting(self, *args):
        opened.append(args)
        init(self, *args)

    monkeypatch.setattr(PyAVReader, '__init__', counting)
    LoadClips(clip_len=4, num_clips=4)(record(clips['plain']))
    assert len(opened) == 1


def test_target_fps(clips, record):
    for kind, last in dict(plain=28, fps15=14).items():
        load = LoadClips(clip_len=8, frame_interval=4, sampling='uniform')
        inds = load(record(clips[kind]))['frame_inds'][0]
        assert inds[-1] - inds[0] == pytest.approx(last, abs=3)


@pytest.mark.parametrize(
    ('sampling', 'num_clips', 'expected'),
    [
        ('uniform', 2, [[0, 2, 4, 7], [32, 34, 36, 39]]),
        ('segment_center', 1, [[5, 15, 25, 35]]),
    ],
)
def test_test_samplings(clips, record, sampling, num_clips, expected):
    load = LoadClips(clip_len=4, frame_interval=2, num_clips=num_clips, sampling=sampling)
    assert load(record(clips['plain']))['frame_inds'].tolist() == expected


def test_segment_sampling(clips, record):
    inds = LoadClips(clip_len=4, num_clips=2, sampling='segment')(record(clips['plain']))
    assert (inds['frame_inds'] // 10 == np.arange(4)).all()
    assert inds['frame_inds'][0].tolist() != inds['frame_inds'][1].tolist()


@pytest.fixture(scope='module')
def bursts(make_clip, tmp_path_factory):
    """Ten seconds: one at 60 frames/s and one at 5, by turns."""
    times = [
        1000 * second + round(1000 * i / rate)
        for second, rate in enumerate([60, 5] * 5)
        for i in range(rate)
    ]
    path = tmp_path_factory.mktemp('bursts') / 'bursts.mkv'
    return make_clip(path, num_frames=len(times), times=times, gop=60), np.array(times) / 1000


@pytest.mark.parametrize('sampling', ['random', 'uniform'])
def test_clips_last_equally_long_where_the_rate_varies(bursts, record, sampling):
    path, times = bursts
    load = LoadClips(num_clips=50, sampling=sampling)
    inds = load(record(path))['frame_inds']
    lengths = times[inds[:, -1]] - times[inds[:, 0]]
    assert lengths.min() > 2.1 - 0.21 and lengths.max() < 2.1 + 0.21  # 63 / 30, but for one frame
    moments = times[inds] - times[inds[:, :1]]
    assert np.abs(moments - np.arange(16) * 63 / 15 / 30).max() < 0.24


def test_an_even_rate_is_sampled_by_numbers(clips, record):
    """Whatever the container makes of the times."""
    for kind in ('plain', 'mkv', 'ts', 'mpeg4'):
        load = LoadClips(clip_len=8, frame_interval=2, num_clips=8)
        inds = load(record(clips[kind]))['frame_inds']
        rngs = [np.random.default_rng((0, 0, 0, view)) for view in range(8)]
        expected = [clip_frames(random_start(40, 16, rng), 16, 8, 40) for rng in rngs]
        np.testing.assert_array_equal(inds, expected)


def test_too_few_frames_are_warned_of_once(clips, record):
    load = LoadClips(clip_len=4, frame_interval=1)
    with pytest.warns(UserWarning) as warned:
        for _ in range(3):
            load(record(clips['fps15']))
    (text,) = {str(w.message) for w in warned}
    assert len(warned) == 1
    assert 'fps15.mp4 has 15 frames/s and 30 are asked for (target_fps=30 / frame_inter' in text
    load = LoadClips()
    with pytest.warns(
        UserWarning, match='short.mp4 holds 5 frames of the 64 .* 2.133 seconds'
    ) as w:
        load(record(clips['short']))
        pickle.loads(pickle.dumps(load))(record(clips['one_frame']))
    assert len(w) == 1
    with pytest.warns(UserWarning, match='holds 5 frames for 16 segments: frames are repeated'):
        LoadClips(sampling='segment')(record(clips['short']))
    with warnings.catch_warnings(), torch.device('meta'):  # where configs are checked
        warnings.simplefilter('error')
        LoadClips(clip_len=8)(record(clips['plain']))
        LoadClips(sampling='segment')(record(clips['fps15']))


def test_one_worker_warns_for_all(clips, tmp_path):
    shutil.copy(clips['short'], tmp_path)
    dataset = VideoDataset(data_root=str(tmp_path), pipeline=[dict(type='LoadClips')])
    assert len(list(DataLoader(dataset, num_workers=1, batch_size=None))) == 1
    assert dataset.pipeline.transforms[0]._warned.tolist() == [True, False]


def test_large_frames_are_kept_small(clips, record):
    whole = LoadClips(clip_len=4)(record(clips['plain']))
    small = LoadClips(clip_len=4, short_side=20)(record(clips['plain']))
    assert np.shape(whole['clips']) == (1, 4, 48, 64, 3)
    assert np.shape(small['clips']) == (1, 4, 24, 32, 3)
    np.testing.assert_array_equal(whole['frame_inds'], small['frame_inds'])


def test_unreadable_video(record, tmp_path):
    (tmp_path / 'a.mp4').write_text('x')
    with pytest.raises(VideoReadError, match='InvalidData'):
        LoadClips()(record(tmp_path / 'a.mp4'))


def test_unreadable_video_is_blank_when_asked(record, tmp_path):
    (tmp_path / 'a.mp4').write_text('x')
    results = record(tmp_path / 'a.mp4') | dict(failures=[])
    results = LoadClips(4, 2, num_clips=3, sampling='uniform', unreadable='blank')(results)
    assert np.shape(results['clips']) == (3, 4, 256, 256, 3) and not np.any(results['clips'])
    assert results['frame_inds'].shape == (3, 4) and len(results['rngs']) == 3
    ((path, cause),) = results['failures']
    assert path.endswith('a.mp4') and 'InvalidData' in cause


def test_a_decoder_that_hangs(clips, record, monkeypatch):
    monkeypatch.setattr(PyAVReader, 'read', lambda *args: time.sleep(60))
    begin = time.monotonic()
    with pytest.raises(VideoReadError, match='not decoded within 0.2 s'):
        LoadClips(timeout=0.2)(record(clips['plain']))
    assert time.monotonic() - begin < 30


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (dict(num_clips=0), 'num_clips must be an integer >= 1, got 0'),
        (dict(short_side=0), 'short_side must be an integer >= 1, got 0'),
        (dict(clip_len=0), 'clip_len must be an integer >= 1, got 0'),
        (dict(frame_interval=1.5), 'frame_interval must be an integer >= 1, got 1.5'),
        (dict(sampling='dense'), "sampling must be one of .* got 'dense'"),
        (dict(sampling='segment_center', num_clips=2), 'num_clips must be 1 .* got 2'),
        (dict(target_fps=0), 'target_fps must be > 0, got 0'),
        (dict(timeout=0), 'timeout must be > 0, got 0'),
        (dict(unreadable='skip'), "unreadable must be one of .* got 'skip'"),
        (dict(backend='vlc'), "backend must be one of .* got 'vlc'"),
    ],
)
def test_bad_arguments(args, message):
    with pytest.raises(ValueError, match=message):
        LoadClips(**args)


def test_clips_out_of_one_window(clips, record):
    load = LoadClips(clip_len=4, frame_interval=2, num_clips=4, window=0.4)
    inds = [load(record(clips['plain'], epoch=epoch))['frame_inds'] for epoch in range(40)]
    assert max(np.ptp(clip[:, 0]) for clip in inds) <= 4  # 12 frames for clips of 8
    assert np.ptp([clip[0, 0] for clip in inds]) > 25  # of 32 places, over the epochs
    for wrong, message in (
        (dict(window=0.2), r'window must be at least a clip, 0.2667 s, got 0.2'),
        (dict(window=1, sampling='uniform'), "window goes with sampling='random' only"),
    ):
        with pytest.raises(ValueError, match=message):
            LoadClips(clip_len=4, frame_interval=2, **wrong)
