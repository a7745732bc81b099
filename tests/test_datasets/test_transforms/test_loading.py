"""LoadClips: R clips of one decode."""

import time

import numpy as np
import pytest

from mmmae_st.datasets.readers import PyAVReader, VideoReadError
from mmmae_st.datasets.transforms import LoadClips


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
    monkeypatch.setattr(PyAVReader, 'read', lambda self, indices: time.sleep(3))
    begin = time.monotonic()
    with pytest.raises(VideoReadError, match='not decoded within 0.2 s'):
        LoadClips(timeout=0.2)(record(clips['plain']))
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (dict(num_clips=0), 'num_clips must be an integer >= 1, got 0'),
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
