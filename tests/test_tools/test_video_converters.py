"""The tools of tools/dataset_converters that read videos: resizing, frames, the checker."""

import multiprocessing
import os
import re
import time

import av
import numpy as np
import pytest


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


def decode(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        return stream.codec_context.name, frames


def _work(task):
    if task == 'hang':
        time.sleep(60)
    if task == 'crash':
        os._exit(7)
    if task == 'raise':
        raise OSError(2, 'two\nlines')
    return task * 2


def test_workers_survive_hanging_crashing_and_raising_tasks(converter):
    common = converter.load('common')
    tasks = [1, 'crash', 'hang', 2, 'raise', 3, 'crash', 4]
    begin = time.monotonic()
    outcomes = list(common.run_parallel(_work, tasks, workers=2, timeout=8.0))
    assert time.monotonic() - begin < 50
    assert sorted(o.value for o in outcomes if o.error is None) == [2, 4, 6, 8]
    errors = sorted((o.task, o.error) for o in outcomes if o.error is not None)
    assert errors == [
        ('crash', 'crashed its process (exit code 7)'),
        ('crash', 'crashed its process (exit code 7)'),
        ('hang', 'gave no answer within 8 seconds'),
        ('raise', 'FileNotFoundError: two lines'),
    ]


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


def resize(converter, source, target, *args):
    args = ('--short-side', 32, '--workers', 2, *args)
    return converter.run('resize_videos', source, target, *args)


def test_resize(tmp_path, converter, capsys):
    source, target = tmp_path / 'source', tmp_path / 'target'
    write_video(source / 'a b' / 'wide.avi', size=(128, 64), fps=15, codec='mpeg4')
    write_video(source / 'tall.mp4', size=(64, 102), frames=70)
    small = write_video(source / 'small.mp4', size=(40, 32))
    (source / 'bad.mp4').write_bytes(b'not a video' * 50)
    assert resize(converter, source, target, '--key-frames', 30) == 1
    assert 'resized 2, copied 1, failed 1' in capsys.readouterr().out
    assert (target / 'failed.txt').read_text().startswith(f'{source}/bad.mp4\tInvalidDataError')
    assert sorted(str(p.relative_to(target)) for p in target.rglob('*') if p.is_file()) == [
        'a b/wide.mp4',
        'failed.txt',
        'small.mp4',
        'tall.mp4',
    ]
    assert (target / 'small.mp4').read_bytes() == small.read_bytes()

    codec, frames = decode(target / 'a b' / 'wide.mp4')
    _, originals = decode(source / 'a b' / 'wide.avi')
    assert codec == 'h264'
    assert (frames[0].width, frames[0].height) == (64, 32)
    assert [f.time for f in frames] == pytest.approx([f.time for f in originals], abs=1e-3)
    for frame, original in zip(frames, originals, strict=True):
        difference = (
            frame.to_ndarray(format='rgb24').mean() - original.to_ndarray(format='rgb24').mean()
        )
        assert abs(difference) < 4
    _, frames = decode(target / 'tall.mp4')
    assert (frames[0].width, frames[0].height, len(frames)) == (32, 52, 70)  # 51 is odd
    keys = [number for number, frame in enumerate(frames) if frame.key_frame]
    assert keys[0] == 0 and 0 < max(np.diff([*keys, 70])) <= 30

    # Again: what is there stays, what failed is tried again.
    before = {p: p.stat().st_mtime_ns for p in target.rglob('*.mp4')}
    (source / 'bad.mp4').unlink()
    write_video(source / 'bad.mp4', size=(64, 64))
    assert resize(converter, source, target) == 0
    assert '1 videos to make, 3 are there already' in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert not (target / 'failed.txt').exists()


def test_resize_killed_at_any_moment_goes_on(tmp_path, converter, capsys):
    """What is there after a SIGKILL is whole, and the next run makes the rest."""
    source, target = tmp_path / 'source', tmp_path / 'target'
    for number in range(8):
        write_video(source / f'{number}.mp4', frames=40, size=(320, 240))
    process = multiprocessing.get_context('fork').Process(
        target=resize, args=(converter, source, target)
    )
    process.start()
    deadline = time.monotonic() + 60
    while len(list(target.glob('*.mp4'))) < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    process.join()
    made = [path for path in target.glob('*.mp4') if not path.name.startswith('.')]
    assert 2 <= len(made) < 8
    assert all(len(decode(path)[1]) == 40 for path in made)
    assert resize(converter, source, target) == 0
    # A worker may have finished the video it was at.
    counts = re.search(r'(\d+) videos to make, (\d+) are there', capsys.readouterr().out)
    missing, there = map(int, counts.groups())
    assert missing + there == 8 and there >= len(made)
    assert sorted(os.listdir(target)) == [f'{number}.mp4' for number in range(8)]
    assert all(len(decode(target / name)[1]) == 40 for name in os.listdir(target))


def test_resize_turns_rotated_videos_upright(tmp_path, converter):
    path = tmp_path / 'source' / 'phone.mp4'
    path.parent.mkdir()
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:32] = 255  # bright above
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=24)
        stream.width, stream.height, stream.pix_fmt = 96, 64, 'yuv420p'
        stream.set_display_rotation(-90)  # to be shown turned clockwise
        for _ in range(8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format='rgb24')))
        container.mux(stream.encode(None))

    assert resize(converter, path.parent, tmp_path / 'target') == 0
    _, frames = decode(tmp_path / 'target' / 'phone.mp4')
    picture = frames[3].to_ndarray(format='gray')
    assert picture.shape == (48, 32)
    assert frames[3].rotation == 0
    assert picture[:, 20:].mean() > 200 and picture[:, :12].mean() < 40  # bright on the right


def test_resize_keeps_the_times_of_a_variable_frame_rate(tmp_path, converter, make_clip):
    path = tmp_path / 'source' / 'vfr.mkv'
    path.parent.mkdir()
    times = [0, 40, 100, 400, 433, 1000]  # milliseconds
    make_clip(path, num_frames=6, times=times)
    assert resize(converter, path.parent, tmp_path / 'target') == 0
    _, frames = decode(tmp_path / 'target' / 'vfr.mp4')
    assert [round(1000 * frame.time) for frame in frames] == times


@pytest.mark.parametrize('inside', ['source/target', '.'])
def test_resize_refuses_nested_folders(tmp_path, converter, capsys, inside):
    write_video(tmp_path / 'source' / 'a.mp4')
    with pytest.raises(SystemExit):
        resize(converter, tmp_path / 'source', tmp_path / inside)
    assert 'must not lie in each other' in capsys.readouterr().err


def test_resize_refuses_two_videos_of_one_name(tmp_path, converter):
    (tmp_path / 's').mkdir()
    for name in ('a.mp4', 'a.webm'):
        (tmp_path / 's' / name).touch()
    with pytest.raises(ValueError, match=r"'a.mp4' and 'a.webm' would become one file"):
        resize(converter, tmp_path / 's', tmp_path / 't')


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
        'audio.mp4': 'has no video stream',
        'cut.mp4': 'InvalidDataError',
        'early_end.mp4': 'after ',
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
    with pytest.raises(ValueError, match='leaves the data root'):
        converter.run('check_videos', *args)
