"""tools/dataset_converters/prepare_videos.py: what it makes, leaves out and says."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from support.killed import kill_when, wait_until
from support.prepared import manifest, read

from mmmae_st.datasets import VideoDataset

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs'
TOOL = ROOT / 'tools' / 'dataset_converters' / 'prepare_videos.py'


@pytest.mark.parametrize('codec', ['mpeg4', 'h264'])
def test_prepare(tmp_path, source, prepare, make_clip, capsys, codec):
    (source / 'a b').mkdir()
    make_clip(source / 'a b' / 'wide.avi', width=128, height=64, fps=15, codec='mpeg4')
    make_clip(source / 'tall.mp4', width=64, height=102, num_frames=70, b_frames=3, gop=60)
    make_clip(source / 'small.mp4', width=40, height=32)
    (source / 'bad.mp4').write_bytes(b'not a video' * 50)
    target = tmp_path / 'target'
    assert prepare(source, target, '--short-side', 32, '--codec', codec) == 1
    assert 'made 3, failed 1' in capsys.readouterr().out
    assert (target / 'failed.txt').read_text().startswith('bad.mp4\tInvalidDataError')
    assert sorted(str(p.relative_to(target)) for p in target.rglob('*') if p.is_file()) == [
        'a b/wide.mp4',
        'failed.txt',
        'manifest.jsonl',
        'prepared.json',
        'small.mp4',
        'tall.mp4',
    ]
    found = manifest(target)
    assert [found[name]['size'] for name in sorted(found)] == [[64, 32], [40, 32], [32, 52]]
    for name, record in found.items():
        path = target / record['path']
        assert record['bytes'] == path.stat().st_size
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == codec
            frames = list(container.decode(stream))
        keys = [number for number, frame in enumerate(frames) if frame.key_frame]
        assert record['key_frames'] == keys and record['frames'] == len(frames)
        assert keys[0] == 0 and max(np.diff([*keys, len(frames)])) <= 16
        assert {frame.pict_type for frame in frames} <= {1, 2}  # no B-frames
        _, times = read(source / name)
        np.testing.assert_allclose(read(path)[1] - read(path)[1][0], times - times[0], atol=1e-4)

    # Again: what is there stays, what failed is tried again.
    before = {p: p.stat().st_mtime_ns for p in target.rglob('*.mp4')}
    make_clip(source / 'bad.mp4')
    assert prepare(source, target, '--short-side', 32, '--codec', codec) == 0
    assert '1 videos to make, 3 are there already' in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert not (target / 'failed.txt').exists() and len(manifest(target)) == 4
    with pytest.raises(SystemExit, match='short_side=32 in place of 48.*name a new folder'):
        prepare(source, target, '--short-side', 48, '--codec', codec)


def test_sound_and_damaged_videos_are_left_out(tmp_path, source, prepare, make_clip):
    make_clip(source / 'damaged.mp4', gop=20)
    data = bytearray((source / 'damaged.mp4').read_bytes())
    begin = data.index(b'mdat') + len(data) // 2
    data[begin : begin + 600] = np.random.default_rng(0).bytes(600)
    (source / 'damaged.mp4').write_bytes(data)
    with av.open(str(source / 'sound.mp4'), 'w') as container:
        video = container.add_stream('libx264', rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, 'yuv420p'
        audio = container.add_stream('aac', rate=44100)
        for _ in range(5):
            pixels = np.zeros((48, 64, 3), np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format='rgb24')))
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
            sound.rate = 44100
            container.mux(audio.encode(sound))
        for stream in (video, audio):
            container.mux(stream.encode(None))
    assert prepare(source, tmp_path / 'target') == 1
    assert sorted(p.name for p in tmp_path.glob('target/*.mp4')) == ['sound.mp4']
    assert (tmp_path / 'target' / 'failed.txt').read_text().startswith('damaged.mp4\t')
    with av.open(str(tmp_path / 'target' / 'sound.mp4')) as container:
        assert [stream.type for stream in container.streams] == ['video']


def test_a_list_keeps_its_labels(tmp_path, source, prepare, make_clip):
    for name in ('one more.avi', 'b.mp4', 'unlisted.mp4'):
        make_clip(source / name, codec='mpeg4', num_frames=8)
    listed = tmp_path / 'train.txt'
    listed.write_text('one more.avi 3\nb.mp4 0\ngone.mp4 1\n')
    target = tmp_path / 'target'
    assert prepare(source, target, '--list', listed) == 1
    assert (target / 'train.txt').read_text() == 'one more.mp4 3\nb.mp4 0\n'
    assert {s: r['label'] for s, r in manifest(target).items()} == {'one more.avi': 3, 'b.mp4': 0}
    assert len(VideoDataset('train.txt', str(target))) == 2
    # Another list goes into the same folder.
    listed.with_name('val.txt').write_text('unlisted.mp4 2\n')
    assert prepare(source, target, '--list', listed.with_name('val.txt')) == 0
    assert {s: r['label'] for s, r in manifest(target).items()}['unlisted.mp4'] == 2
    assert len(manifest(target)) == 3


def test_folders_of_frames(tmp_path, source, prepare, capsys):
    cv2 = pytest.importorskip('cv2')
    for folder in ('a', 'sub/b.1'):
        (source / folder).mkdir(parents=True)
        for number in range(1, 41):
            picture = np.full((64, 96, 3), (10, 3 * number, 200), np.uint8)  # blue first
            cv2.imwrite(str(source / folder / f'img_{number:05}.jpg'), picture)
    args = ('--frame-tmpl', 'img_{:05}.jpg', '--frame-fps', 20, '--fps', 5, '--short-side', 32)
    assert prepare(source, tmp_path / 'target', *args) == 0
    assert sorted(p.name for p in tmp_path.rglob('*.mp4')) == ['a.mp4', 'b.1.mp4']
    frames, times = read(tmp_path / 'target' / 'sub' / 'b.1.mp4')
    np.testing.assert_allclose(times, np.arange(10) / 5, atol=1e-6)
    expected = [(200, 3 * number, 10) for number in range(1, 41, 4)]
    np.testing.assert_allclose(frames[:, 10, 10], expected, atol=6)
    assert prepare(source, tmp_path / 'target', *args, '--sample', 2) == 0
    told = capsys.readouterr().out
    assert '2 of 2 videos at 32 pixels, 5 frames/s' in told and 'clips/s of one core' in told
    with pytest.raises(SystemExit, match='--frame-tmpl and --frame-fps must be given together'):
        prepare(source, tmp_path / 'target', *args[:2])


@pytest.mark.parametrize(
    ('config', 'short_side', 'fps', 'seconds'),
    [
        ('mae_st_vitl_k400.py', 256, 7.5, 64 / 30),
        ('mae_st_vitb_k400_112px.py', 128, 7.5, 64 / 30),
        ('mae_st_vitl_ssv2.py', 256, None, 0),
        ('finetune/vitl_k400.py', 256, 7.5, 64 / 30),
        ('finetune/vitl_k400_32x2.py', 256, 15, 64 / 30),
        ('finetune/vitl_ssv2.py', 256, None, 0),
        ('frozen/vitl_k400.py', 224, 7.5, 64 / 30),
    ],
)
def test_needs_of_a_config(converter, config, short_side, fps, seconds):
    if config.startswith('finetune'):
        pytest.importorskip('mmaction')
    needs = converter.load('needs').needs_of_config(str(CONFIGS / config))
    assert needs[:2] == (short_side, fps)
    assert needs.clip_seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (('--for', 'mae_st_vitl_k400.py', '--fps', 5), 'asks for 7.5 frames/s, more than --fps 5'),
        (('--for', 'mae_st_vitl_ssv2.py', '--fps', 8), 'needs all of them: leave out --fps'),
        (('--for', 'mae_st_vitl_none.py'), 'does not exist'),
        (('--fps', 0), '--fps must be > 0, got 0'),
        (('--short-side', 33), '--short-side must be even, got 33'),
        (('--frame-tmpl', '{}.jpg', '--frame-fps', 0), '--frame-fps must be > 0, got 0'),
        (('--list', 'none.txt'), "ann_file 'none.txt' is not a file"),
    ],
)
def test_bad_arguments(tmp_path, prepare, args, message):
    args = [CONFIGS / arg if str(arg).startswith('mae_st') else arg for arg in args]
    with pytest.raises(SystemExit, match=message):
        prepare(tmp_path / 'source', tmp_path / 'target', *args)
    assert not (tmp_path / 'target').exists()


def test_a_config_of_another_loader_is_refused(tmp_path, prepare):
    (tmp_path / 'c.py').write_text(
        "train_dataloader = dict(dataset=dict(type='X', pipeline=[dict(type='DecordDecode')]))"
    )
    with pytest.raises(SystemExit, match='does not read clips by LoadClips'):
        prepare(tmp_path / 'source', tmp_path / 'target', '--for', tmp_path / 'c.py')


def test_files_prepared_for_fewer_frames_are_refused(tmp_path, source, prepare, make_clip):
    make_clip(source / 'a.mp4', num_frames=80)
    target = tmp_path / 'target'
    assert prepare(source, target, '--for', CONFIGS / 'mae_st_vitl_k400.py') == 0
    with pytest.raises(SystemExit, match=r'made with fps=7.5 in place of None.*a new folder'):
        prepare(source, target, '--for', CONFIGS / 'mae_st_vitl_ssv2.py')
    load = dict(type='LoadClips')
    assert len(VideoDataset(data_root=str(target), pipeline=[load])) == 1
    for more, asked in (dict(frame_interval=2), '15 frames/s'), (dict(sampling='segment'), 'all'):
        with pytest.raises(ValueError, match=f'clips ask for {asked}.*were prepared with 7.5'):
            VideoDataset(data_root=str(target), pipeline=[dict(load, **more)])


def test_a_trial_says_what_would_be_won(tmp_path, source, prepare, make_clip, capsys):
    for number in range(3):
        make_clip(source / f'{number}.mp4', width=320, height=256, num_frames=90, gop=250)
    (source / '3.mp4').touch()
    assert prepare(source, tmp_path / 'target', '--fps', 7.5, '--sample', 4) == 0
    told = capsys.readouterr().out
    assert '3 of 4 videos at 256 pixels, 7.5 frames/s, mpeg4 of quality 4, a key' in told
    assert f'unreadable: {source}/3.mp4: InvalidDataError' in told
    times = float(re.search(r'clips/s of one core.* ([\d.]+) times', told)[1])
    share = float(re.search(r'MB a video.* ([\d.]+) of it', told)[1])
    likeness = float(re.search(r'PSNR at 224 pixels, dB +([\d.]+)', told)[1])
    assert times > 1.2 and 0.05 < share < 3 and 25 < likeness < 50
    assert re.search(r'all would take \d:\d\d:\d\d ', told) and not (tmp_path / 'target').exists()


def test_too_little_space_is_found_early(tmp_path, source, prepare, make_clip, converter, capsys):
    make_clip(source / '00.mp4', num_frames=4)
    for number in range(1, 40):
        shutil.copy(source / '00.mp4', source / f'{number:02}.mp4')
    module = converter.load('common')
    usage = SimpleNamespace(free=1000)
    converter.monkeypatch.setattr(module.shutil, 'disk_usage', lambda path: usage)
    with pytest.raises(SystemExit, match='other 24 videos need .* GB, and 1e-06 GB are free'):
        prepare(source, tmp_path / 'target')
    assert len(list((tmp_path / 'target').glob('*.mp4'))) == 16
    usage.free = 10**10
    assert prepare(source, tmp_path / 'target') == 0
    told = capsys.readouterr().out
    assert '24 videos to make, 16 are there already' in told
    found = re.search(
        r'the other 8 videos need about (.*) GB of 10 GB free, and \d:\d\d:\d\d ', told
    )
    shutil.rmtree(tmp_path / 'target')
    assert prepare(source, tmp_path / 'target', '--shards', tmp_path / 'shards') == 0
    again = re.search(r'the other 24 videos need about (.*) GB of 10', capsys.readouterr().out)
    assert float(again[1]) == pytest.approx(2 * 3 * float(found[1]), rel=0.01)


def test_killed_at_any_moment_it_goes_on(tmp_path, source, prepare, make_clip, capsys):
    """What is there after a SIGKILL is whole, and the next run makes the rest."""
    target = tmp_path / 'target'
    names = [f'{number}.mp4' for number in range(8)]
    lengths = dict.fromkeys(names, 40) | {names[0]: 120}  # not ready before the kill
    for name, length in lengths.items():
        make_clip(source / name, num_frames=length, width=320, height=240)
    kill_when(lambda: len(list(target.glob('[0-9].mp4'))) > 1, prepare, source, target)
    made = list(target.glob('[0-9].mp4'))
    assert 2 <= len(made) < 8
    assert all(len(read(path)[0]) == lengths[path.name] for path in made)
    if (target / 'manifest.jsonl').exists():
        with (target / 'manifest.jsonl').open('a') as file:
            file.write('{"source": "7.m')  # as if it had been cut short
    assert prepare(source, target) == 0
    counts = re.search(r'(\d+) videos to make, (\d+) are there', capsys.readouterr().out)
    assert sum(map(int, counts.groups())) == 8
    assert sorted(os.listdir(target)) == [*names, 'manifest.jsonl', 'prepared.json']
    assert all(len(read(target / name)[0]) == lengths[name] for name in names)
    assert sorted(manifest(target)) == names


def test_ctrl_c_ends_it_in_one_line(tmp_path, source, prepare, make_clip):
    """As a terminal sends it, to the workers too; the next run does the rest."""
    make_clip(source / '0.mp4')
    make_clip(
        source / '1.mp4', num_frames=240, width=320, height=240
    )  # not ready before the signal
    for number in range(2, 6):
        os.link(source / '1.mp4', source / f'{number}.mp4')
    target = tmp_path / 'target'
    process = subprocess.Popen(
        [sys.executable, TOOL, source, target, '--workers', '2'],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: list(target.glob('[0-9].mp4')), 'there is a video')
    os.killpg(process.pid, signal.SIGINT)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    *bar, last = told.splitlines()
    assert last == 'prepare_videos.py: interrupted', told
    assert all(line.lstrip().startswith('[') for line in bar), told
    assert 1 <= len(list(target.glob('[0-9].mp4'))) < 6
    assert prepare(source, target) == 0
    assert sorted(manifest(target)) == [f'{number}.mp4' for number in range(6)]
    assert len(list(target.glob('.*'))) == 0
