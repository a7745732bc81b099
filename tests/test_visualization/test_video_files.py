import av
import numpy as np
import pytest
from PIL import Image

from mmmae_st.datasets import VideoReadError
from mmmae_st.visualization.video_files import read_clip, read_clips, save_gif, save_mp4


def frames(count=5, height=21, width=33):
    steps = np.linspace(0, 250, count).astype(np.uint8)
    return [np.full((height, width, 3), step, np.uint8) for step in steps]


def test_gif_holds_the_frames(tmp_path):
    save_gif(tmp_path / 'a.gif', frames(), fps=5)
    with Image.open(tmp_path / 'a.gif') as image:
        assert image.n_frames == 5 and image.info['duration'] == 200 and image.info['loop'] == 0
        for index, frame in enumerate(frames()):
            image.seek(index)
            found = np.asarray(image.convert('RGB')).astype(int)
            assert np.abs(found - frame).mean() < 5


def test_mp4_holds_the_frames_at_an_even_size(tmp_path):
    save_mp4(tmp_path / 'a.mp4', frames(), fps=5)
    with av.open(str(tmp_path / 'a.mp4')) as container:
        found = [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]
        assert float(container.streams.video[0].average_rate) == 5
    assert [frame.shape for frame in found] == [(22, 34, 3)] * 5
    assert np.abs(found[2][4:16, 4:28].astype(int) - frames()[2][0, 0, 0]).mean() < 5


@pytest.mark.parametrize('save', [save_gif, save_mp4])
def test_nothing_to_save_is_an_error(tmp_path, save):
    with pytest.raises(ValueError, match='at least one picture'):
        save(tmp_path / 'a', [])
    with pytest.raises(ValueError, match='fps must be positive'):
        save(tmp_path / 'a', frames(), fps=0)


def test_clips_of_a_video(clips):
    found = read_clips(clips['plain'], 4, 32, frame_interval=2, num_clips=3)
    assert found.shape == (3, 4, 32, 32, 3) and found.dtype == np.uint8
    central = read_clip(clips['plain'], 4, 32, frame_interval=2)
    np.testing.assert_array_equal(central, found[1])


def test_unreadable_video_is_named(tmp_path):
    with pytest.raises(VideoReadError, match=r'cannot read .*none\.mp4'):
        read_clip(tmp_path / 'none.mp4', 4, 32)
