"""Videos that prepare_videos.py has made show what the originals show, at the same times."""

import shutil

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from support.prepared import manifest, read

MATRICES = dict(bt709=1, unknown=2, bt470bg=5, smpte170m=6, bt2020=9)


@pytest.mark.parametrize('matrix', MATRICES)
@pytest.mark.parametrize('full_range', [False, True])
@pytest.mark.parametrize(
    ('pix_fmt', 'kind'),
    [('yuv420p', 'mpeg4'), ('yuv444p', 'mpeg4'), ('yuv422p10le', 'mpeg4'), ('yuv420p', 'h264')],
)
def test_colours_stay(tmp_path, source, prepare, matrix, full_range, pix_fmt, kind):
    """Patches of strong colours come out of both files alike."""
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (28, 28, 28), (232, 200, 9)]
    pixels = np.repeat(np.repeat(np.array([colours], np.uint8), 64, axis=0), 32, axis=1)
    with av.open(str(source / 'a.mp4'), 'w') as container:
        stream = container.add_stream('libx264', rate=10, options={'crf': '1'})
        stream.width, stream.height, stream.pix_fmt = 192, 64, pix_fmt
        codec = stream.codec_context
        codec.colorspace, codec.color_range = MATRICES[matrix], 1 + full_range
        if matrix == 'bt709':
            codec.color_primaries = codec.color_trc = 1
        for _ in range(3):
            frame = VideoReformatter().reformat(
                av.VideoFrame.from_ndarray(pixels, format='rgb24'),
                format=pix_fmt,
                dst_colorspace=5 if matrix == 'unknown' else MATRICES[matrix],
                dst_color_range=1 + full_range,
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    target = tmp_path / 'target'
    assert prepare(source, target, '--short-side', 32, '--codec', kind, '--quality', 1) == 0
    (before, _), (after, _) = read(source / 'a.mp4'), read(target / 'a.mp4')
    assert after.shape == (3, 32, 96, 3)
    seen = before[1, 32, 16::32].astype(int)
    assert np.abs(seen - colours).max() <= 4  # the source is right
    rounded = dict(h264=4, mpeg4=8)  # the latter twice, to another space and range
    assert np.abs(after[1, 16, 8::16] - seen).max() <= rounded[kind]
    with av.open(str(target / 'a.mp4')) as container:
        codec = container.streams.video[0].codec_context
        told = codec.colorspace, codec.color_range == 2, codec.color_primaries
    kept = MATRICES[matrix], full_range, 1 if matrix == 'bt709' else 2
    assert told == (kept if kind == 'h264' else (2, False, 2))


def test_rgb_video_is_written_as_what_it_is_tagged(tmp_path, source, prepare):
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:] = (250, 10, 60)
    with av.open(str(source / 'a.mkv'), 'w') as container:
        stream = container.add_stream('ffv1', rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'bgr0'
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format='rgb24')))
        container.mux(stream.encode(None))
    assert prepare(source, tmp_path / 'target', '--quality', 1) == 0
    assert np.abs(read(tmp_path / 'target' / 'a.mp4')[0].astype(int) - pixels).max() <= 4


@pytest.mark.parametrize('degrees', [0, 90, 180, 270, -1])
def test_videos_are_turned_as_the_reader_turns_them(tmp_path, source, prepare, make_clip, degrees):
    make_clip(source / 'a.mp4', width=96, height=64, rotation=degrees, num_frames=8)
    assert prepare(source, tmp_path / 'target', '--short-side', 64, '--quality', 1) == 0
    (before, _), (after, _) = read(source / 'a.mp4'), read(tmp_path / 'target' / 'a.mp4')
    assert (
        before.shape == after.shape == ((8, 96, 64, 3) if degrees % 180 == 90 else (8, 64, 96, 3))
    )
    assert np.abs(before.astype(int) - after).mean() < 2
    with av.open(str(tmp_path / 'target' / 'a.mp4')) as container:
        assert next(container.decode(video=0)).rotation == 0


def test_mirrored_videos_are_mirrored(tmp_path, source, prepare, make_clip):
    path = make_clip(source / 'a.mp4', width=96, height=64, rotation=180, num_frames=8)
    turned = np.array([-1, 0, 0, 0, -1], '>i4') * 65536
    mirrored = np.array([-1, 0, 0, 0, 1], '>i4') * 65536
    data = path.read_bytes()
    assert data.count(turned.astype('>i4').tobytes()) == 1
    upright, _ = read(make_clip(tmp_path / 'b.mp4', width=96, height=64, num_frames=8))
    path.write_bytes(data.replace(turned.astype('>i4').tobytes(), mirrored.astype('>i4').tobytes()))
    assert prepare(source, tmp_path / 'target', '--short-side', 64, '--quality', 1) == 0
    after, _ = read(tmp_path / 'target' / 'a.mp4')
    assert np.abs(upright[:, :, ::-1].astype(int) - after).mean() < 2


def shown_at(times, moments):
    return np.searchsorted(times, moments + 1e-3, 'right') - 1


@pytest.mark.parametrize('fps', [30, 25, 12, 7.5, 5])
def test_frames_that_stay_keep_their_times(tmp_path, source, prepare, make_clip, fps):
    times = np.round(1000 * np.arange(40) / fps).astype(int)
    make_clip(source / 'a.mkv', times=times.tolist(), width=128, height=96)
    assert prepare(source, tmp_path / 'target', '--fps', 7.5, '--quality', 1) == 0
    (before, times), (after, kept) = read(source / 'a.mkv'), read(tmp_path / 'target' / 'a.mp4')
    slots = np.arange(round(40 / fps * 7.5 + 0.4)) / 7.5
    expected = np.unique(shown_at(times, slots))
    np.testing.assert_allclose(kept, times[expected], atol=1e-6)
    assert np.abs(before[expected].astype(int) - after).mean() < 4
    (record,) = manifest(tmp_path / 'target').values()
    assert record['rate'] == pytest.approx(min(fps, 7.5), rel=0.06)


def test_a_variable_frame_rate_stays(tmp_path, source, prepare, make_clip):
    times = [0, 40, 100, 400, 433, 1000]  # milliseconds
    make_clip(source / 'vfr.mkv', num_frames=6, times=times)
    assert prepare(source, tmp_path / 'target') == 0
    np.testing.assert_allclose(read(tmp_path / 'target' / 'vfr.mp4')[1], np.array(times) / 1000)


def test_every_kind_of_video_holds_the_same_frames(tmp_path, source, prepare, clips):
    for path in clips.values():
        shutil.copy(path, source / f'{path.stem}_{path.suffix[1:]}{path.suffix}')
    assert prepare(source, tmp_path / 'target', '--quality', 1) == 0
    for name, record in manifest(tmp_path / 'target').items():
        (before, times), (after, kept) = (
            read(source / name),
            read(tmp_path / 'target' / record['path']),
        )
        if name.startswith('odd'):  # sizes are rounded to even numbers
            assert before.shape == (40, 49, 65, 3) and after.shape == (40, 48, 64, 3)
        else:
            assert np.abs(before.astype(int) - after).mean((1, 2, 3)).max() < 6, name
        if times is not None:
            np.testing.assert_allclose(kept, times - times[0], atol=1.1e-3, err_msg=name)
