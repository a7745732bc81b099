"""The tools of tools/dataset_converters: annotation lists, resizing, frames, the checker."""

import importlib
import json
import multiprocessing
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from mmmae_st.datasets.annotations import read_list

TOOLS = Path(__file__).parents[2] / 'tools' / 'dataset_converters'


def load(name, monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module(name)


def run(name, monkeypatch, *args):
    """Run a tool in this process; returns its exit code."""
    monkeypatch.setattr(sys, 'argv', [name, *map(str, args)])
    return load(name, monkeypatch).main()


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


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


# Annotation lists


def build(monkeypatch, *args):
    return run('build_file_list', monkeypatch, *args)


def test_list_of_class_folders(tmp_path, monkeypatch):
    train, val, out = tmp_path / 'train', tmp_path / 'val', tmp_path / 'lists'
    touch(train, 'arm wrestling/b 2.mp4', 'arm wrestling/a.webm', 'zumba/x/c.avi', 'zumba/note.txt')
    touch(val, 'zumba/d.mp4')
    classes = out / 'classes.txt'
    assert (
        build(monkeypatch, 'folder', train, '--out', out / 'train.txt', '--classes', classes) == 0
    )
    assert build(monkeypatch, 'folder', val, '--out', out / 'val.txt', '--classes', classes) == 0
    assert classes.read_text() == 'arm wrestling\nzumba\n'
    assert read_list(str(out / 'train.txt')) == [
        dict(path='arm wrestling/a.webm', label=0),
        dict(path='arm wrestling/b 2.mp4', label=0),
        dict(path='zumba/x/c.avi', label=1),
    ]
    assert read_list(str(out / 'val.txt')) == [dict(path='zumba/d.mp4', label=1)]


def test_list_refuses_unknown_class_and_missing_class_file_argument(tmp_path, monkeypatch, capsys):
    touch(tmp_path / 'v', 'swim/a.mp4')
    classes = tmp_path / 'classes.txt'
    classes.write_text('run\nwalk\n')
    out = tmp_path / 'list.txt'
    assert build(monkeypatch, 'folder', tmp_path / 'v', '--out', out, '--classes', classes) == 1
    assert '1 classes are not in' in (error := capsys.readouterr().err) and "'swim'" in error
    assert build(monkeypatch, 'folder', tmp_path / 'v', '--out', out) == 1
    assert '--classes is needed' in capsys.readouterr().err
    assert not out.exists()


def test_plain_list(tmp_path, monkeypatch):
    touch(tmp_path / 'v', 'a/b.mp4', 'c 3.mkv')
    out = tmp_path / 'list.txt'
    assert build(monkeypatch, 'plain', tmp_path / 'v', '--out', out) == 0
    assert read_list(str(out)) == [dict(path='a/b.mp4'), dict(path='c 3.mkv')]


def kinetics_json():
    return {
        'ab_C-defghij': dict(
            annotations=dict(label='zumba', segment=[3.0, 13.0]), duration=10.0, subset='train'
        ),
        '-0123456789': dict(
            annotations=dict(label='arm wrestling', segment=[120.0, 130.0]), subset='train'
        ),
    }


@pytest.mark.parametrize('form', ['csv', 'json'])
def test_kinetics(tmp_path, monkeypatch, form):
    """Names with and without the cut times are found; a video not there is reported."""
    annotations = tmp_path / f'train.{form}'
    if form == 'json':
        annotations.write_text(
            json.dumps(
                kinetics_json()
                | {'gone': dict(annotations=dict(label='zumba', segment=[0.0, 10.0]))}
            )
        )
    else:
        annotations.write_text(
            'label,youtube_id,time_start,time_end,split,is_cc\n'
            'zumba,ab_C-defghij,3,13,train,0\n'
            'arm wrestling,-0123456789,120,130,train,0\n'
            'zumba,gone,0,10,train,0\n'
        )
    root, out = tmp_path / 'videos', tmp_path / 'train.txt'
    touch(root, 'ab_C-defghij_000003_000013.mp4', 'arm_wrestling/-0123456789.webm', 'other.mp4')
    args = ('kinetics', annotations, root, '--out', out, '--classes', tmp_path / 'classes.txt')
    assert build(monkeypatch, *args, '--separator', 'tab') == 0
    assert out.read_text() == (
        'ab_C-defghij_000003_000013.mp4\t1\narm_wrestling/-0123456789.webm\t0\n'
    )
    assert (tmp_path / 'train.txt.missing.txt').read_text() == 'gone_000000_000010\n'
    assert (tmp_path / 'classes.txt').read_text() == 'arm wrestling\nzumba\n'


def test_kinetics_test_set_without_labels(tmp_path, monkeypatch):
    annotations = tmp_path / 'test.csv'
    annotations.write_text('youtube_id,time_start,time_end,split\nabc,0,10,test\n')
    touch(tmp_path / 'v', 'abc_000000_000010.mp4')
    out = tmp_path / 'list.txt'
    assert build(monkeypatch, 'kinetics', annotations, tmp_path / 'v', '--out', out) == 0
    assert out.read_text() == 'abc_000000_000010.mp4\n'


def test_ambiguous_name_is_an_error(tmp_path, monkeypatch, capsys):
    annotations = tmp_path / 'train.csv'
    annotations.write_text('label,youtube_id,time_start,time_end\nzumba,abc,0,10\n')
    args = ('kinetics', annotations, tmp_path / 'v', '--out', tmp_path / 'l', '--classes')
    touch(tmp_path / 'v', 'zumba/abc.mp4', 'dance/abc.mp4')
    assert build(monkeypatch, *args, tmp_path / 'c') == 0
    assert (tmp_path / 'l').read_text() == 'zumba/abc.mp4 0\n'  # the class folder decides
    touch(tmp_path / 'v', 'zumba/abc.webm')
    assert build(monkeypatch, *args, tmp_path / 'c') == 1
    assert "video 'abc' is there 2 times" in capsys.readouterr().err


def test_ssv2(tmp_path, monkeypatch):
    (tmp_path / 'labels.json').write_text(
        json.dumps({'Moving something up': '1', 'Holding something': '0'})
    )
    (tmp_path / 'train.json').write_text(
        json.dumps(
            [
                dict(id='78687', label='moving cup up', template='Moving [something] up'),
                dict(id='42326', label='holding pen', template='Holding [something]'),
            ]
        )
    )
    (tmp_path / 'test.json').write_text(json.dumps([dict(id='1420')]))
    (tmp_path / 'answers.csv').write_text('1420;Moving something up\n')
    touch(tmp_path / 'v', '78687.webm', '42326.mp4', '1420.webm')
    for name, extra in (('train', ()), ('test', ('--answers', tmp_path / 'answers.csv'))):
        args = ('ssv2', tmp_path / f'{name}.json', tmp_path / 'v', '--out', tmp_path / name)
        args += ('--labels', tmp_path / 'labels.json', '--classes', tmp_path / 'classes.txt')
        assert build(monkeypatch, *args, *extra) == 0
    assert (tmp_path / 'train').read_text() == '78687.webm 1\n42326.mp4 0\n'
    assert (tmp_path / 'test').read_text() == '1420.webm 1\n'
    assert (tmp_path / 'classes.txt').read_text() == 'Holding something\nMoving something up\n'


def test_ucf101(tmp_path, monkeypatch):
    (tmp_path / 'classInd.txt').write_text('1 YoYo\n2 Archery\n')
    (tmp_path / 'trainlist01.txt').write_text(
        'Archery/v_Archery_g08_c01.avi 2\nYoYo/v_YoYo_g08_c01.avi 1\n'
    )
    (tmp_path / 'testlist01.txt').write_text('YoYo/v_YoYo_g01_c02.avi\n')
    touch(
        tmp_path / 'v',
        'Archery/v_Archery_g08_c01.mp4',
        'YoYo/v_YoYo_g08_c01.avi',
        'YoYo/v_YoYo_g01_c02.avi',
    )
    for name in ('trainlist01', 'testlist01'):
        args = ('ucf101', tmp_path / f'{name}.txt', tmp_path / 'v', '--out', tmp_path / name)
        args += ('--class-index', tmp_path / 'classInd.txt', '--classes', tmp_path / 'c')
        assert build(monkeypatch, *args) == 0
    assert (tmp_path / 'trainlist01').read_text() == (
        'Archery/v_Archery_g08_c01.mp4 1\nYoYo/v_YoYo_g08_c01.avi 0\n'
    )
    assert (tmp_path / 'testlist01').read_text() == 'YoYo/v_YoYo_g01_c02.avi 0\n'


def test_hmdb51(tmp_path, monkeypatch):
    splits = tmp_path / 'splits'
    splits.mkdir()
    (splits / 'wave_test_split1.txt').write_text('a#1.avi 1 \nb.avi 2 \nc.avi 0 \n')
    (splits / 'ride_bike_test_split1.txt').write_text('d.avi 1 \na#1.avi 2 \n')
    (splits / 'wave_test_split2.txt').write_text('a#1.avi 2\n')
    touch(tmp_path / 'v', 'wave/a#1.avi', 'wave/b.avi', 'ride_bike/d.avi', 'ride_bike/a#1.avi')
    for subset in ('train', 'test'):
        args = ('hmdb51', splits, tmp_path / 'v', '--split', 1, '--subset', subset)
        assert (
            build(monkeypatch, *args, '--out', tmp_path / subset, '--classes', tmp_path / 'c') == 0
        )
    assert (tmp_path / 'train').read_text() == 'ride_bike/d.avi 0\nwave/a#1.avi 1\n'
    assert (tmp_path / 'test').read_text() == 'ride_bike/a#1.avi 0\nwave/b.avi 1\n'


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('train.csv', 'path,label\na,b\n', "expected columns ['time_end'"),
        ('train.csv', 'label,youtube_id,time_start,time_end\nx,y,ten,20\n', 'line 2'),
        ('train.csv', 'label,youtube_id,time_start,time_end\nx,y\n', 'line 2'),
        ('train.json', '[]', 'expected a JSON dict, got list'),
        ('train.json', '{"a": {"subset": "train"}}', "'a': not a Kinetics annotation"),
        ('train.json', '{"a"', 'not JSON'),
        ('train.json', '{}', 'names no video'),
        ('train.csv', 'youtube_id,time_start,time_end\n../../etc/passwd,0,10\n', 'none of the 1'),
    ],
)
def test_malformed_annotations_are_named(tmp_path, monkeypatch, capsys, name, text, message):
    (tmp_path / name).write_text(text)
    touch(tmp_path / 'v', 'a.mp4')
    out = tmp_path / 'list.txt'
    assert build(monkeypatch, 'kinetics', tmp_path / name, tmp_path / 'v', '--out', out) == 1
    assert message in capsys.readouterr().err
    assert not out.exists()


# Worker processes


def _work(task):
    if task == 'hang':
        time.sleep(60)
    if task == 'crash':
        os._exit(7)
    if task == 'raise':
        raise OSError(2, 'two\nlines')
    return task * 2


def test_workers_survive_hanging_crashing_and_raising_tasks(monkeypatch):
    common = load('common', monkeypatch)
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


def test_written_whole_leaves_the_old_file_on_failure(tmp_path, monkeypatch):
    common = load('common', monkeypatch)
    path = tmp_path / 'new' / 'list.txt'
    common.write_lines(str(path), ['a', 'b'])

    def lines():
        yield 'c'
        raise RuntimeError('stop')

    with pytest.raises(RuntimeError, match='stop'):
        common.write_lines(str(path), lines())
    assert path.read_text() == 'a\nb\n'
    assert os.listdir(path.parent) == ['list.txt']


# Resizing


def resize(monkeypatch, source, target, *args):
    args = ('--short-side', 32, '--workers', 2, *args)
    return run('resize_videos', monkeypatch, source, target, *args)


def test_resize(tmp_path, monkeypatch, capsys):
    source, target = tmp_path / 'source', tmp_path / 'target'
    write_video(source / 'a b' / 'wide.avi', size=(128, 64), fps=15, codec='mpeg4')
    write_video(source / 'tall.mp4', size=(64, 102), frames=70)
    small = write_video(source / 'small.mp4', size=(40, 32))
    (source / 'bad.mp4').write_bytes(b'not a video' * 50)
    assert resize(monkeypatch, source, target, '--key-frames', 30) == 1
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
    assert resize(monkeypatch, source, target) == 0
    assert '1 videos to make, 3 are there already' in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert not (target / 'failed.txt').exists()


def test_resize_killed_at_any_moment_goes_on(tmp_path, monkeypatch, capsys):
    """What is there after a SIGKILL is whole, and the next run makes the rest."""
    source, target = tmp_path / 'source', tmp_path / 'target'
    for number in range(8):
        write_video(source / f'{number}.mp4', frames=40, size=(320, 240))
    process = multiprocessing.get_context('fork').Process(
        target=resize, args=(monkeypatch, source, target)
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
    assert resize(monkeypatch, source, target) == 0
    # A worker may have finished the video it was at.
    counts = re.search(r'(\d+) videos to make, (\d+) are there', capsys.readouterr().out)
    missing, there = map(int, counts.groups())
    assert missing + there == 8 and there >= len(made)
    assert sorted(os.listdir(target)) == [f'{number}.mp4' for number in range(8)]
    assert all(len(decode(target / name)[1]) == 40 for name in os.listdir(target))


def test_resize_turns_rotated_videos_upright(tmp_path, monkeypatch):
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

    assert resize(monkeypatch, path.parent, tmp_path / 'target') == 0
    _, frames = decode(tmp_path / 'target' / 'phone.mp4')
    picture = frames[3].to_ndarray(format='gray')
    assert picture.shape == (48, 32)
    assert frames[3].rotation == 0
    assert picture[:, 20:].mean() > 200 and picture[:, :12].mean() < 40  # bright on the right


def test_resize_keeps_the_times_of_a_variable_frame_rate(tmp_path, monkeypatch, make_clip):
    path = tmp_path / 'source' / 'vfr.mkv'
    path.parent.mkdir()
    times = [0, 40, 100, 400, 433, 1000]  # milliseconds
    make_clip(path, num_frames=6, times=times)
    assert resize(monkeypatch, path.parent, tmp_path / 'target') == 0
    _, frames = decode(tmp_path / 'target' / 'vfr.mp4')
    assert [round(1000 * frame.time) for frame in frames] == times


@pytest.mark.parametrize('inside', ['source/target', '.'])
def test_resize_refuses_nested_folders(tmp_path, monkeypatch, capsys, inside):
    write_video(tmp_path / 'source' / 'a.mp4')
    with pytest.raises(SystemExit):
        resize(monkeypatch, tmp_path / 'source', tmp_path / inside)
    assert 'must not lie in each other' in capsys.readouterr().err


def test_resize_refuses_two_videos_of_one_name(tmp_path, monkeypatch):
    touch(tmp_path / 's', 'a.mp4', 'a.webm')
    with pytest.raises(ValueError, match=r"'a.mp4' and 'a.webm' would become one file"):
        resize(monkeypatch, tmp_path / 's', tmp_path / 't')


# Frames


def test_extract_frames(tmp_path, monkeypatch, capsys):
    cv2 = pytest.importorskip('cv2')
    source, target = tmp_path / 'videos', tmp_path / 'frames'
    write_video(source / 'a.mp4', frames=24, size=(64, 48), fps=10)
    write_video(source / 'sub' / 'b.mp4', frames=5, fps=10)  # ends before the start
    args = ('--start', 1, '--stop', 1.5, '--fps', 20, '--short-side', 24, '--workers', 2)
    assert run('extract_frames', monkeypatch, source, target, *args) == 1
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

    assert run('extract_frames', monkeypatch, source, target, *args) == 1
    assert '1 videos to write as frames, 1 are there already' in capsys.readouterr().out


def test_extract_frames_drops_frames_of_faster_videos(tmp_path, monkeypatch):
    cv2 = pytest.importorskip('cv2')
    write_video(tmp_path / 'v' / 'a.mp4', frames=24, fps=24)
    assert run('extract_frames', monkeypatch, tmp_path / 'v', tmp_path / 'f', '--fps', 8) == 0
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


def test_check_videos_of_a_folder(tmp_path, monkeypatch, capsys):
    expected = broken_videos(tmp_path / 'v')
    out = tmp_path / 'bad.txt'
    assert run('check_videos', monkeypatch, tmp_path / 'v', '--out', out, '--workers', 2) == 1
    assert '5 of 7 videos are unreadable' in capsys.readouterr().out
    found = dict(line.split('\t') for line in out.read_text().splitlines())
    assert list(found) == list(expected)
    for name, cause in expected.items():
        assert found[name].startswith(cause), (name, found[name])


def test_check_videos_of_a_list(tmp_path, monkeypatch):
    broken_videos(tmp_path / 'v')
    listed = tmp_path / 'list.txt'
    listed.write_text('sub/fine one.avi 3\ngone.mp4 1\n\ncut.mp4 2\nsound.mp4 0\n')
    out, good = tmp_path / 'bad.txt', tmp_path / 'good.txt'
    args = (tmp_path / 'v', '--list', listed, '--out', out, '--good-list', good, '--quick')
    assert run('check_videos', monkeypatch, *args) == 1
    assert good.read_text() == 'sub/fine one.avi 3\nsound.mp4 0\n'
    bad = out.read_text().splitlines()
    assert [line.split('\t')[0] for line in bad] == ['gone.mp4', 'cut.mp4']
    assert 'FileNotFoundError' in bad[0]

    listed.write_text('sound.mp4 0\n')
    assert run('check_videos', monkeypatch, *args) == 0
    assert out.read_text() == ''
    listed.write_text('../secret.mp4 0\n')
    with pytest.raises(ValueError, match='leaves the data root'):
        run('check_videos', monkeypatch, *args)


def test_tools_run_as_scripts(tmp_path):
    """From another directory, by their path."""
    touch(tmp_path / 'v', 'run/a.mp4')
    command = [sys.executable, str(TOOLS / 'build_file_list.py'), 'folder', 'v']
    command += ['--out', 'list.txt', '--classes', 'classes.txt']
    environment = dict(os.environ, PYTHONPATH=str(TOOLS.parents[1]))
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout == 'list.txt: 1 videos of 1 classes (1 in classes.txt)\n'
