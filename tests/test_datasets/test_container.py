"""Opening files: the track, and which way up its pictures are."""

import itertools

import av
import numpy as np
import pytest
from av.stream import Disposition

from mmmae_st.datasets.readers import VideoReadError, open_video
from mmmae_st.datasets.readers.container import (
    Orientation,
    open_container,
    orientation,
    upright,
    video_stream,
)


def write_turned(path, degrees, mirror=(False, False)):
    """Three frames of four greys in a corner each; turned and then mirrored for showing."""
    stored = np.full((48, 64, 3), 40, np.uint8)
    stored[:24, :32], stored[:24, 32:], stored[24:, :32] = 220, 160, 100
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        stream.set_display_rotation(degrees, hflip=mirror[0], vflip=mirror[1])
        for pts in range(3):
            frame = av.VideoFrame.from_ndarray(stored, format='rgb24')
            frame.pts = pts
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return stored


CASES = list(itertools.product([0, 90, 180, 270], itertools.product([False, True], [False, True])))


@pytest.mark.parametrize(('degrees', 'mirror'), CASES)
def test_all_eight_ways(tmp_path, degrees, mirror):
    """As a player shows it: turned counterclockwise, then mirrored."""
    stored = write_turned(tmp_path / 'a.mp4', degrees, mirror)
    expected = np.rot90(stored, degrees // 90)
    expected = expected[:, ::-1] if mirror[0] else expected
    expected = expected[::-1] if mirror[1] else expected
    with open_video(str(tmp_path / 'a.mp4')) as reader:
        shown = reader.read([2])[2]
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected).max() < 20


@pytest.mark.parametrize(
    ('degrees', 'quarter_turns'), [(-1, 0), (1, 0), (44, 0), (46, 1), (89, 1), (-91, 3), (179, 2)]
)
@pytest.mark.parametrize('mirrored', [False, True])
def test_other_angles_are_rounded_to_the_nearest_quarter_turn(
    tmp_path, degrees, quarter_turns, mirrored
):
    write_turned(tmp_path / 'a.mp4', degrees, (mirrored, False))
    with open_container(str(tmp_path / 'a.mp4')) as container:
        found = orientation(next(container.decode(video_stream(container))))
    # A mirror after turning one way is one before turning the other way.
    assert found == Orientation(mirrored, -quarter_turns % 4 if mirrored else quarter_turns)


def test_beside_data_that_pyav_does_not_know(make_clip, tmp_path):
    """So are the EXIF data of TIFF and of some MJPEG."""
    clip = make_clip(tmp_path / 'a.mov', codec='tiff', rotation=90, num_frames=3)
    with open_video(str(clip)) as reader:
        assert reader.read([1])[1].shape == (64, 48, 3)


def test_planes_are_turned_like_pictures():
    plane = np.arange(6).reshape(2, 3)
    assert upright(plane, Orientation(False, 1)).tolist() == [[2, 5], [1, 4], [0, 3]]
    assert upright(plane, Orientation(True, 0)).tolist() == [[2, 1, 0], [5, 4, 3]]
    assert upright(plane, Orientation(True, 1)).tolist() == [[0, 3], [1, 4], [2, 5]]


def test_the_track_that_a_player_would_show(make_clip, tmp_path):
    small = make_clip(tmp_path / 'small.mp4', num_frames=10)
    large = make_clip(tmp_path / 'large.mp4', num_frames=20, width=128, height=96)
    with (
        av.open(str(small)) as first,
        av.open(str(large)) as second,
        av.open(str(tmp_path / 'both.mkv'), 'w') as both,
    ):
        sources = [source.streams.video[0] for source in (first, second)]
        targets = [both.add_stream_from_template(source) for source in sources]
        targets[1].disposition = Disposition.default
        for source, target in zip(sources, targets, strict=True):
            for packet in source.container.demux(source):
                if packet.size:
                    packet.stream = target
                    both.mux(packet)
    with open_video(str(tmp_path / 'both.mkv')) as reader:
        assert reader.num_frames == 20 and reader.read([0])[0].shape == (96, 128, 3)


def test_titles_that_are_not_utf8(make_clip, tmp_path):
    clip = make_clip(tmp_path / 'a.avi', codec='mpeg4')
    with av.open(str(clip)) as source, av.open(str(tmp_path / 'titled.avi'), 'w') as target:
        target.metadata['title'] = 'caXXe'
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    content = (tmp_path / 'titled.avi').read_bytes()
    assert b'caXXe' in content
    (tmp_path / 'titled.avi').write_bytes(content.replace(b'caXXe', b'caf\xe9\xe9'))
    with pytest.raises(UnicodeDecodeError):
        av.open(str(tmp_path / 'titled.avi'))
    with open_container(str(tmp_path / 'titled.avi')) as container:
        assert len(list(container.decode(video_stream(container)))) == 40


def test_a_file_without_a_picture(tmp_path):
    with av.open(str(tmp_path / 'sound.mp4'), 'w') as container:
        stream = container.add_stream('aac', rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with (
        open_container(str(tmp_path / 'sound.mp4')) as container,
        pytest.raises(VideoReadError, match='no video stream'),
    ):
        video_stream(container)
