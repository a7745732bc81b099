"""Windows all along a video: which frames, at what time, given one by one."""

import weakref

import numpy as np
import pytest

from mmmae_st.datasets.readers import BaseReader, MemoryReader, VideoReadError, open_video
from mmmae_st.datasets.transforms import LoadClips
from mmmae_st.datasets.transforms.frame_sampling import plan_windows
from mmmae_st.datasets.windows import breaks_off, stream_windows


def same(frame):
    return frame


@pytest.mark.parametrize('fps', [30, 15, 24, 0])
def test_windows_are_the_clips_that_a_loader_takes(fps):
    """A video of one window has the frames of LoadClips; the others lie a stride further."""
    load = LoadClips(8, 2, sampling='uniform')
    span = 16 * (fps or 30) / 30
    plan = plan_windows(200, fps, None, 8, 2, stride=10)
    alone = load.sample(int(span), fps, [None])
    assert np.array_equal(plan.frame_inds[0], alone[0])
    step = 10 * (fps or 30) / 30
    assert len(plan.frame_inds) == int((200 - span) / step + 1e-3) + 1
    assert plan.frame_inds[-1, -1] < 200 and plan.frame_inds[3, 0] == int(3 * step)
    assert plan.seconds[3].tolist() == pytest.approx([1, 1 + 16 / 30])


def test_short_video_has_one_window():
    plan = plan_windows(5, 30, None, 8, 2, 10)
    assert plan.frame_inds.tolist() == [[0, 2, 4, 4, 4, 4, 4, 4]]


def test_windows_of_a_varying_rate_lie_at_equal_times(clips):
    with open_video(str(clips['vfr'])) as reader:
        plan = plan_windows(reader.num_frames, reader.fps, reader.times, 4, 2, 8)
        times = reader.times - reader.times[0]
    begin = plan.seconds[:, 0]
    np.testing.assert_allclose(np.diff(begin), 8 / 30)
    shown = times[plan.frame_inds[:, 0]]
    after = times[np.minimum(plan.frame_inds[:, 0] + 1, len(times) - 1)]
    assert np.all(shown <= begin + 2e-3) and np.all(after >= begin - 2e-3)


@pytest.mark.parametrize('kind', ['plain', 'b_frames', 'open_gop', 'vfr', 'ts', 'avi_reordered'])
def test_streamed_clips_are_those_read_at_once(clips, kind):
    with open_video(str(clips[kind])) as reader:
        frame_inds = plan_windows(reader.num_frames, reader.fps, None, 4, 2, 3).frame_inds
        expected = reader.read(frame_inds.ravel().tolist())
        found = list(stream_windows(reader, frame_inds, same))
    assert len(found) == len(frame_inds) > 2
    for clip, window in zip(found, frame_inds.tolist(), strict=True):
        assert all(
            np.array_equal(frame, expected[i]) for frame, i in zip(clip, window, strict=True)
        )


class CountingReader(MemoryReader):
    """Counts the frames that are asked for; some are lost, one fails."""

    def __init__(self, frames, lost=(), failing=None):
        super().__init__(frames)
        self.asked, self.lost, self.failing = [], lost, failing

    def stream(self, indices, short_side=None):
        for index in indices:
            self.asked.append(index)
            if index == self.failing:
                raise VideoReadError(f'frame {index} is damaged')
            if index not in self.lost:
                yield index, self._frames[index]


def frames(number):
    return np.arange(number, dtype=np.uint8)[:, None, None, None].repeat(3, axis=-1)


def test_each_frame_is_decoded_once_and_only_when_it_is_needed():
    reader = CountingReader(frames(60))
    frame_inds = plan_windows(60, 30, None, 4, 2, 4).frame_inds
    clips = stream_windows(reader, frame_inds, same)
    assert next(clips)[:, 0, 0, 0].tolist() == frame_inds[0].tolist()
    assert reader.asked[-1] == frame_inds[0, -1]
    assert len(list(clips)) == len(frame_inds) - 1
    assert sorted(set(reader.asked)) == reader.asked


@pytest.mark.parametrize(
    ('fault', 'message'),
    [(dict(failing=21), 'frame 21 is damaged'), (dict(lost=[21]), 'frame 21 could not be decoded')],
)
def test_clips_before_a_fault_are_given(fault, message):
    frame_inds = np.arange(40).reshape(10, 4)
    clips = stream_windows(CountingReader(frames(40), **fault), frame_inds, same)
    found = []
    with pytest.raises(VideoReadError, match=message):
        for clip in clips:
            found.append(clip)
    assert len(found) == 5


def test_memory_does_not_grow_with_the_video():
    """Of a long video only the frames of overlapping windows are held."""
    held = []

    class Frame(np.ndarray):
        """Can be referred to weakly."""

    def cut(frame):
        kept = frame.view(Frame)
        held.append(weakref.ref(kept))
        return kept

    frame_inds = plan_windows(250, 30, None, 4, 2, 2).frame_inds
    most = 0
    for _ in stream_windows(MemoryReader(frames(250)), frame_inds, cut):
        most = max(most, sum(frame() is not None for frame in held))
    assert len(held) > 200 and most <= 10


@pytest.mark.parametrize(
    ('stated', 'said'),
    [(0, None), (4.0, None), (4.9, None), (6.0, 'breaks off at 4.0 s of 6.0 s'), (400.0, '400')],
)
def test_files_that_state_to_be_longer_break_off(stated, said):
    reader: BaseReader = MemoryReader(frames(120))
    reader.fps, reader.stated_seconds = 30.0, stated
    found = breaks_off(reader)
    assert found is None if said is None else said in found
