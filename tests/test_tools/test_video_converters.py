"""The tools of tools/dataset_converters that read videos: frames, the checker, what they share."""

import os
import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from mmmae_st.datasets.readers import PyAVReader, VideoReadError, open_video, read_errors

ROOT = Path(__file__).parents[2]


def write_video(path, frames=24, size=(64, 48), fps=24, codec='libx264', start=0):
    """Frames whose grey value is 10 times their number (mod 250)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = 'yuv420p'
        for number in range(frames):
            value = 10 * (number + start) % 250
            pixels = np.full((size[1], size[0], 3), value, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format='rgb24')))
        container.mux(stream.encode(None))
    return path


def test_written_whole_leaves_the_old_file_on_failure(tmp_path, converter):
    common = converter.load('common')
    path = tmp_path / 'new' / 'list.txt'
    common.write_lines(str(path), ['a', 'b'])

    def lines():
        yield 'c'
        raise RuntimeError('stop')

    with pytest.raises(RuntimeError, match='stop'):
        common.write_lines(str(path), lines())
    assert path.read_text() == 'a\nb\n'
    assert os.listdir(path.parent) == ['list.txt']


@pytest.mark.parametrize(
    ('paths', 'message'),
    [
        (['a.mp4', 'b.mp4', 'a.webm'], "'a.mp4' and 'a.webm' would be written to one place"),
        (['a.mp4', 'a/b/c.mp4'], "'a/b/c.mp4' would be written into what 'a.mp4' becomes"),
    ],
)
@pytest.mark.parametrize('tool', ['prepare_videos', 'extract_frames'])
def test_two_videos_of_one_name_are_refused(tmp_path, converter, paths, message, tool):
    for path in paths:
        (tmp_path / 's' / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 's' / path).touch()
    with pytest.raises(SystemExit, match=message):
        converter.run(tool, tmp_path / 's', tmp_path / 't')
    assert not list(tmp_path.glob('t/*/*')) and not list(tmp_path.glob('t/*.mp4'))


@pytest.mark.parametrize('tool', ['prepare_videos', 'extract_frames'])
@pytest.mark.parametrize('inside', ['source/target', '.'])
def test_nested_folders_are_refused(tmp_path, converter, inside, tool):
    write_video(tmp_path / 'source' / 'a.mp4')
    with pytest.raises(SystemExit, match='must not lie in each other'):
        converter.run(tool, tmp_path / 'source', tmp_path / inside)


def latin1_title(path):
    """A video whose title is not UTF-8."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w') as container:
        container.metadata['title'] = 'café'
        stream = container.add_stream('mpeg4', rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        for number in range(6):
            pixels = np.full((48, 64, 3), 40 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format='rgb24')))
        container.mux(stream.encode(None))
    path.write_bytes(path.read_bytes().replace('café'.encode(), b'caf\xe9\0'))
    with pytest.raises(UnicodeDecodeError):
        av.open(str(path))
    return path


def test_titles_that_are_not_utf8_do_no_harm(tmp_path, converter):
    latin1_title(tmp_path / 's' / 'a.avi')
    assert converter.run('check_videos', tmp_path / 's', '--out', tmp_path / 'bad.txt') == 0
    assert converter.run('prepare_videos', tmp_path / 's', tmp_path / 't') == 0
    assert converter.run('extract_frames', tmp_path / 's', tmp_path / 'f', '--fps', 10) == 0
    assert len(os.listdir(tmp_path / 'f' / 'a')) == 6


def test_tools_take_the_track_that_the_reader_takes(tmp_path, converter):
    path = tmp_path / 's' / 'a.mkv'
    path.parent.mkdir()
    noise = np.random.default_rng(0)
    with av.open(str(path), 'w') as container:
        streams = [container.add_stream('libx264', rate=rate) for rate in (5, 10)]
        for stream, size in zip(streams, (32, 64), strict=True):
            stream.width = stream.height = size
            stream.pix_fmt = 'yuv420p'
            stream.options = {'tune': 'zerolatency'}
        for _ in range(12):
            for stream in (*streams, streams[1]):  # twice as many frames a second
                pixels = noise.integers(0, 256, (stream.height, stream.width, 3), np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format='rgb24')))
        for stream in streams:
            container.mux(stream.encode(None))
    with PyAVReader(str(path)) as reader:
        assert reader.read([0])[0].shape == (64, 64, 3)
    assert converter.run('prepare_videos', tmp_path / 's', tmp_path / 't') == 0
    with PyAVReader(str(tmp_path / 't' / 'a.mp4')) as reader:
        assert reader.read([0])[0].shape == (64, 64, 3) and reader.fps == 10
    assert converter.run('extract_frames', tmp_path / 's', tmp_path / 'f', '--fps', 10) == 0
    assert len(os.listdir(tmp_path / 'f' / 'a')) == 24


def joined(folder):
    """Two recordings joined, the second with earlier times; 20 frames at 10 frames/s."""
    parts = []
    for offset in (300, 0):
        path = folder / f'{offset}.ts'
        with av.open(str(path), 'w') as container:
            stream = container.add_stream('libx264', rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
            stream.codec_context.max_b_frames = 0
            for number in range(10):
                grey = 10 * number + (0 if offset else 100)
                pixels = np.full((48, 64, 3), grey, np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format='rgb24')
                frame.pts = offset + number
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        parts.append(path.read_bytes())
        path.unlink()
    (folder / 'joined.ts').write_bytes(b''.join(parts))


def test_a_clock_that_goes_back_goes_on(tmp_path, converter):
    (tmp_path / 's').mkdir()
    joined(tmp_path / 's')
    assert converter.run('prepare_videos', tmp_path / 's', tmp_path / 't') == 0
    with PyAVReader(str(tmp_path / 't' / 'joined.mp4')) as reader:
        np.testing.assert_allclose(reader.times, np.arange(20) / 10, atol=1e-4)
        means = [frame.mean() for _, frame in sorted(reader.read(range(20)).items())]
    np.testing.assert_allclose(means, np.arange(20) * 10, atol=3)


def test_names_that_cannot_stand_in_a_line(tmp_path, converter):
    (tmp_path / 'v').mkdir()
    (tmp_path / 'v' / 'two\nlines.mp4').touch()
    out = tmp_path / 'bad.txt'
    assert converter.run('check_videos', tmp_path / 'v', '--out', out) == 1
    assert out.read_text().startswith('two\\nlines.mp4\tInvalidData')
    assert out.read_text().count('\n') == 1
    for name in ('two\nlines.mp4', ' led by a space.mp4', os.fsdecode(b'latin \xe9.mp4')):
        shutil.rmtree(tmp_path / 'v')
        (tmp_path / 'v').mkdir()
        (tmp_path / 'v' / name).touch()
        with pytest.raises(SystemExit, match='cannot stand in a list'):
            converter.run('build_file_list', 'plain', tmp_path / 'v', '--out', out)
    with pytest.raises(SystemExit, match='all 1 videos failed, the first: '):
        converter.run('prepare_videos', tmp_path / 'v', tmp_path / 't')
    assert (tmp_path / 't' / 'failed.txt').exists()


# Frames


def test_extract_frames(tmp_path, converter, capsys):
    cv2 = pytest.importorskip('cv2')
    source, target = tmp_path / 'videos', tmp_path / 'frames'
    write_video(source / 'a.mp4', frames=24, size=(64, 48), fps=10)
    write_video(source / 'sub' / 'b.mp4', frames=5, fps=10)  # ends before the start
    args = ('--start', 1, '--stop', 1.5, '--fps', 20, '--short-side', 24, '--workers', 2)
    assert converter.run('extract_frames', source, target, *args) == 1
    assert '10 frames of 1 videos, failed 1' in capsys.readouterr().out
    assert 'no frame after 1 seconds' in (target / 'failed.txt').read_text()
    assert sorted(os.listdir(target)) == ['a', 'failed.txt', 'sub']
    assert [p for p in os.listdir(target / 'sub') if not p.startswith('.')] == []
    names = sorted(os.listdir(target / 'a'))
    assert names == [f'img_{n:05d}.jpg' for n in range(1, 11)]
    pictures = [cv2.imread(str(target / 'a' / name)) for name in names]
    assert pictures[0].shape == (24, 32, 3)
    # At 20 frames a second each of the frames 10 to 14 appears twice.
    expected = [10 * n % 250 for n in (10, 10, 11, 11, 12, 12, 13, 13, 14, 14)]
    assert [p.mean() for p in pictures] == pytest.approx(expected, abs=4)

    assert converter.run('extract_frames', source, target, *args) == 1
    assert '1 videos to write as frames, 1 are there already' in capsys.readouterr().out


def test_extract_frames_drops_frames_of_faster_videos(tmp_path, converter):
    cv2 = pytest.importorskip('cv2')
    write_video(tmp_path / 'v' / 'a.mp4', frames=24, fps=24)
    assert converter.run('extract_frames', tmp_path / 'v', tmp_path / 'f', '--fps', 8) == 0
    names = sorted(os.listdir(tmp_path / 'f' / 'a'))
    values = [cv2.imread(str(tmp_path / 'f' / 'a' / name)).mean() for name in names]
    assert values == pytest.approx([10 * n % 250 for n in range(0, 24, 3)], abs=4)


# The checker


def broken_videos(root):
    """Sound and broken videos; returns the broken with the expected cause."""
    sound = write_video(root / 'sound.mp4', frames=60, size=(128, 96))
    write_video(root / 'sub' / 'fine one.avi', codec='mpeg4')
    data = sound.read_bytes()
    (root / 'empty.mp4').touch()
    (root / 'text.mp4').write_text('no video at all\n' * 20)
    (root / 'cut.mp4').write_bytes(data[: len(data) // 2])
    with av.open(str(root / 'audio.mp4'), 'w') as container:
        stream = container.add_stream('aac', rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
        frame.rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    remuxed = root / 'early_end.mp4'
    with (
        av.open(str(sound)) as container,
        av.open(str(remuxed), 'w', options={'movflags': 'faststart'}) as sink,
    ):
        stream = sink.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                sink.mux(packet)
    data = remuxed.read_bytes()
    remuxed.write_bytes(data[: len(data) - (len(data) - data.index(b'mdat')) // 2])
    return {
        'audio.mp4': 'no video stream',
        'cut.mp4': 'InvalidDataError',
        'early_end.mp4': 'ends early: 19 of 60 frames',
        'empty.mp4': 'InvalidDataError',
        'text.mp4': 'InvalidDataError',
    }


def test_check_videos_of_a_folder(tmp_path, converter, capsys):
    expected = broken_videos(tmp_path / 'v')
    out = tmp_path / 'bad.txt'
    assert converter.run('check_videos', tmp_path / 'v', '--out', out, '--workers', 2) == 1
    assert '5 of 7 videos are unreadable' in capsys.readouterr().out
    found = dict(line.split('\t') for line in out.read_text().splitlines())
    assert list(found) == list(expected)
    for name, cause in expected.items():
        assert found[name].startswith(cause), (name, found[name])
    assert converter.run('check_videos', tmp_path / 'v', '--workers', 2) == 1
    *printed, summary = capsys.readouterr().out.splitlines()
    assert printed == out.read_text().splitlines()
    assert summary == '5 of 7 videos are unreadable'


def test_check_videos_of_a_list(tmp_path, converter):
    broken_videos(tmp_path / 'v')
    listed = tmp_path / 'list.txt'
    listed.write_text('sub/fine one.avi 3\ngone.mp4 1\n\ncut.mp4 2\nsound.mp4 0\n')
    out, good = tmp_path / 'bad.txt', tmp_path / 'good.txt'
    args = (tmp_path / 'v', '--list', listed, '--out', out, '--good-list', good, '--quick')
    assert converter.run('check_videos', *args) == 1
    assert good.read_text() == 'sub/fine one.avi 3\nsound.mp4 0\n'
    bad = out.read_text().splitlines()
    assert [line.split('\t')[0] for line in bad] == ['gone.mp4', 'cut.mp4']
    assert 'FileNotFoundError' in bad[0]

    listed.write_text('sound.mp4 0\n')
    assert converter.run('check_videos', *args) == 0
    assert out.read_text() == ''
    listed.write_text('../secret.mp4 0\n')
    with pytest.raises(SystemExit, match='leaves the data root'):
        converter.run('check_videos', *args)


def trimmed(path, make_clip):
    """A clip cut without being encoded again: an edit list leaves out 15 of its 40 frames."""
    whole = make_clip(path.with_name('whole.mp4'), gop=20)
    with av.open(str(whole)) as source, av.open(str(path), 'w') as sink:
        stream = source.streams.video[0]
        copy = sink.add_stream_from_template(stream)
        begin = round(0.5 / stream.time_base)
        for packet in source.demux(stream):
            if packet.size:
                packet.pts, packet.dts = packet.pts - begin, packet.dts - begin
                packet.stream = copy
                sink.mux(packet)
    whole.unlink()
    return path


def damaged(path, make_clip):
    """A clip with a packet of noise in it."""
    make_clip(path, gop=20, num_frames=40)
    data = bytearray(path.read_bytes())
    begin = data.index(b'mdat') + len(data) // 2
    data[begin : begin + 600] = np.random.default_rng(0).bytes(600)
    path.write_bytes(data)
    return path


def test_checker_and_reader_agree(tmp_path, converter, clips, make_clip):
    for file in clips.values():
        shutil.copy(file, tmp_path)
    trimmed(tmp_path / 'trimmed.mp4', make_clip)
    damaged(tmp_path / 'damaged.mp4', make_clip)
    joined(tmp_path)
    latin1_title(tmp_path / 'title.avi')
    (tmp_path / 'empty.mp4').touch()
    out = tmp_path / 'bad.txt'
    converter.run('check_videos', tmp_path, '--out', out)
    bad = {line.split('\t')[0] for line in out.read_text().splitlines()}
    unreadable = set()
    for path in tmp_path.glob('*.*'):
        if path != out:
            try:
                with read_errors(), open_video(str(path)) as reader:
                    reader.read(range(reader.num_frames))
            except VideoReadError:
                unreadable.add(path.name)
    assert bad == unreadable == {'damaged.mp4', 'empty.mp4'}


def test_checker_counts_videos_whose_clips_repeat_frames(tmp_path, converter, capsys):
    write_video(tmp_path / 'v' / 'short.mp4', frames=30, fps=30)
    write_video(tmp_path / 'v' / 'slow.mp4', frames=30, fps=5)
    write_video(tmp_path / 'v' / 'fine.mp4', frames=30, fps=8)
    config = ROOT / 'configs' / 'mae_st_vitl_k400.py'
    args = (tmp_path / 'v', '--out', tmp_path / 'bad.txt', '--for', config, '--quick')
    assert converter.run('check_videos', *args) == 0
    told = capsys.readouterr().out
    assert '1 videos are shorter than a clip of 2.13 seconds' in told
    assert '1 videos hold fewer than the 7.5 frames/s' in told
