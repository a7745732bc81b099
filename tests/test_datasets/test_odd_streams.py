"""The reader on streams as editors, recorders and old encoders write them, and on damaged ones."""

from contextlib import suppress

import av
import numpy as np
import pytest
from support.odd_streams import (
    edit,
    noisy,
    of_old_x264,
    packed,
    second_key,
    shifted,
    with_data,
    without_first_sync_sample,
    write_fields,
)

from mmmae_st.datasets.readers import VideoReadError, open_video
from mmmae_st.datasets.readers.container import open_container, video_stream
from mmmae_st.datasets.readers.numbering import frame_rate

OPEN_GOP = dict(
    b_frames=3, gop=8, options={'x264-params': 'open-gop=1:scenecut=0:b-pyramid=normal'}
)


def decode_all(path):
    with av.open(str(path)) as container:
        return [
            f.to_ndarray(format='rgb24') for f in container.decode(container.streams.best('video'))
        ]


def assert_exact(path):
    """Every frame, read by itself with a fresh reader, is that of decoding in order."""
    full = decode_all(path)
    for index in range(len(full)):
        with open_video(str(path)) as reader:
            assert reader.num_frames == len(full)
            np.testing.assert_array_equal(reader.read([index])[index], full[index], str(index))
    return full


def test_state_that_only_the_first_packet_holds(make_clip, tmp_path):
    """x264 before build 151 wrote 4:4:4 by other rules, and tells its build once.

    A new stream that claims to be old is garbage by those rules, and whole for a decoder that has
    not seen the claim: here the garbage is right, and what is flagged as such is not read.
    """
    args = dict(pix_fmt='yuv444p', options={'crf': '35'}, width=192, height=160)
    clip = make_clip(tmp_path / 'a.mp4', **args)
    old = edit(clip, tmp_path / 'old.mp4', lambda ps: with_data(ps, 0, of_old_x264))
    full, whole = decode_all(old), decode_all(clip)
    num_garbage = 0
    for index in range(40):
        with open_video(str(old)) as reader, suppress(VideoReadError):
            np.testing.assert_array_equal(reader.read([index])[index], full[index])
            continue
        num_garbage += np.abs(full[index].astype(int) - whole[index]).mean() > 40
    assert num_garbage > 15


def test_fields_with_a_time_each(tmp_path):
    if not hasattr(av.VideoCodecContext, 'field_order'):
        pytest.skip('PyAV before 18 does not tell')
    write_fields(tmp_path / 'fields.mkv')
    full = assert_exact(tmp_path / 'fields.mkv')
    assert len(full) == 20
    with open_video(str(tmp_path / 'fields.mkv')) as reader:
        assert reader.fps == pytest.approx(25)
        assert reader.times.tolist() == pytest.approx((np.arange(20) / 25).tolist())


def test_interlaced_frames_are_not_taken_for_fields(make_clip, tmp_path, monkeypatch):
    clip = make_clip(tmp_path / 'a.mp4', b_frames=2, options={'x264-params': 'interlaced=1'})
    assert_exact(clip)
    with open_video(str(clip)) as reader:
        monkeypatch.setattr(reader, '_decode_all', None)
        reader.read([3, 30])


def test_clocks_that_start_anew(make_clip, tmp_path):
    clip = make_clip(tmp_path / 'a.ts', b_frames=2, num_frames=20)
    late = edit(clip, tmp_path / 'late.ts', lambda ps: shifted(ps, 1000))
    joined = tmp_path / 'joined.ts'
    joined.write_bytes(late.read_bytes() + make_clip(tmp_path / 'b.ts', b_frames=2).read_bytes())
    assert len(assert_exact(joined)) == 60
    with open_video(str(joined)) as reader:
        assert reader.fps == pytest.approx(30) and reader.times is None


@pytest.mark.parametrize('suffix', ['.mkv', '.mp4', '.flv'])
def test_a_stream_that_begins_with_leading_pictures(make_clip, tmp_path, suffix):
    clip = make_clip(tmp_path / 'a.mp4', **OPEN_GOP)
    cut = edit(clip, tmp_path / f'cut{suffix}', lambda ps: ps[second_key(ps) :])
    assert_exact(cut)
    cut = edit(clip, tmp_path / f'inside{suffix}', lambda ps: ps[3:])
    assert_exact(cut)


@pytest.mark.parametrize('frames', [-10, -2, 10**5])
@pytest.mark.parametrize('suffix', ['.mkv', '.ts', '.mp4'])
def test_times_before_zero_and_far_behind(make_clip, tmp_path, suffix, frames):
    clip = make_clip(tmp_path / 'a.mp4', b_frames=2)
    assert_exact(edit(clip, tmp_path / f'moved{suffix}', lambda ps: shifted(ps, frames)))


def test_an_edit_list_that_begins_before_the_first_marked_keyframe(make_clip, tmp_path):
    clip = make_clip(tmp_path / 'a.mp4', b_frames=2, num_frames=60, gop=15)
    cut = edit(clip, tmp_path / 'cut.mp4', lambda ps: shifted(ps, -10))
    assert len(assert_exact(cut)) == 50
    without_first_sync_sample(cut)
    assert_exact(cut)


@pytest.mark.parametrize('suffix', ['.avi', '.asf'])
@pytest.mark.parametrize('args', [OPEN_GOP, dict(codec='mpeg4', b_frames=2), dict(b_frames=1)])
def test_containers_without_times_of_showing(make_clip, tmp_path, suffix, args, monkeypatch):
    clip = make_clip(tmp_path / f'a{suffix}', **args)
    assert_exact(clip)
    cut = edit(clip, tmp_path / f'cut{suffix}', lambda ps: ps[second_key(ps) :])
    assert_exact(cut)
    with open_video(str(clip)) as reader:  # and not by decoding the file from its start
        monkeypatch.setattr(reader, '_decode_all', None)
        assert len(reader.read([20, 38])) == 2


def test_packed_frames(make_clip, tmp_path):
    clip = make_clip(tmp_path / 'a.avi', codec='mpeg4', b_frames=1, options={'vtag': 'DX50'})
    assert len(assert_exact(edit(clip, tmp_path / 'packed.avi', packed))) == 40


def test_a_container_that_cannot_seek(make_clip, tmp_path):
    clip = make_clip(tmp_path / 'a.swf', codec='mjpeg', pix_fmt='yuvj420p', num_frames=10)
    with open_container(str(clip)) as container, pytest.raises(av.FFmpegError):
        container.seek(5, stream=video_stream(container))
    assert_exact(clip)


def test_packets_that_are_called_keyframes_and_are_none(make_clip, tmp_path):
    """So is every packet of H.263 in AVI."""
    clip = make_clip(tmp_path / 'a.avi', codec='h263', width=176, height=144)
    with av.open(str(clip)) as container:
        assert all(packet.is_keyframe for packet in container.demux(video=0) if packet.size)
    assert_exact(clip)


def test_damaged_frames_are_not_read(make_clip, tmp_path):
    clip = make_clip(tmp_path / 'a.mp4', gop=10, options={'x264-params': 'scenecut=0'})
    broken = edit(clip, tmp_path / 'broken.mp4', lambda ps: with_data(ps, 14, noisy))
    full = decode_all(clip)
    for index in range(40):
        with open_video(str(broken)) as reader:
            if 14 <= index < 20:  # it, and what refers to it
                with pytest.raises(VideoReadError, match=f'frame {index} is damaged'):
                    reader.read([index])
            else:
                np.testing.assert_array_equal(reader.read([index])[index], full[index])


def test_stated_and_measured_rates():
    even = np.arange(100) / 29.98
    assert frame_rate(28.03, even) == pytest.approx(29.98)
    assert frame_rate(30000 / 1001, even) == 30000 / 1001
    assert frame_rate(30, np.round(np.arange(100) / 30, 3)) == 30
    assert frame_rate(30, np.delete(np.arange(100) / 30, [50, 51, 98])) == 30  # some are missing
    assert frame_rate(30, even * 3) == pytest.approx(29.98 / 3)
    assert frame_rate(0, even) == pytest.approx(29.98)
    assert frame_rate(25, None) == 25 and frame_rate(25, even[:1]) == 25


@pytest.mark.parametrize('backend', ['pyav', 'decord'])
def test_large_frames_can_be_kept_small(make_clip, tmp_path, backend):
    pytest.importorskip(backend if backend == 'decord' else 'av')
    clip = make_clip(tmp_path / 'a.mp4', width=194, height=146)
    with open_video(str(clip), backend) as reader:
        whole = reader.read([5])[5]
        small = reader.read([5], short_side=48)[5]
        np.testing.assert_array_equal(reader.read([5], short_side=74)[5], whole)
    assert small.shape == (48, 64, 3)  # 146 // 3 and 194 // 3
    means = whole[:144, :192].reshape(48, 3, 64, 3, 3).mean((1, 3))
    assert np.abs(small - means).max() <= 0.5


def test_decord_refuses_what_it_reads_wrongly(make_clip, tmp_path):
    pytest.importorskip('decord')
    write_fields(tmp_path / 'fields.mkv')
    clip = make_clip(tmp_path / 'a.mp4', b_frames=2)
    trimmed = edit(clip, tmp_path / 'trimmed.mp4', lambda ps: shifted(ps, -10))
    for path, counted in ((trimmed, '40 frames .* 30'), (tmp_path / 'fields.mkv', '40 .* 20')):
        with pytest.raises(VideoReadError, match=f'decord counts {counted}'):
            open_video(str(path), 'decord')
    for kind in (dict(rotation=90), dict(rotation=180)):
        with pytest.raises(VideoReadError, match='turned or mirrored'):
            open_video(str(make_clip(tmp_path / 'turned.mp4', **kind)), 'decord')
