"""The loader benchmark: it runs, its figures agree with each other, bad arguments are named."""

import importlib.util
import json
import os
import re
import shlex
import shutil

import numpy as np
import pytest
import torch
from loader_benchmark import references as loader_references
from loader_benchmark.mmaction2 import UnavailableError, mmaction_dataset
from loader_benchmark.references import (
    VideoInfo,
    span_dataset,
    span_decord,
    span_pyav,
    whole_file_dataset,
)

from mmmae_st.datasets import VideoDataset
from mmmae_st.datasets.synthetic.clips import ClipSettings

CONFIG = 'configs/smoke.py'  # 2 clips of each video
PIPELINE = [
    dict(type='LoadClips', clip_len=4, frame_interval=2, num_clips=2),
    dict(type='ClipRandomResizedCrop', size=32),
    dict(type='ClipFlip'),
    dict(type='RandomMasking', ratio=0.75, patch_size=8),
    dict(type='PackClips'),
]


@pytest.fixture
def benchmark(tool):
    return tool('analysis_tools/benchmark_loader.py')


def make_dataset(tmp_path, clips, backend='pyav', pipeline=PIPELINE, **load):
    """A dataset of some kinds of clips, its list, and what is known of the files."""
    kinds = ('plain', 'b_frames', 'vfr', 'mkv') + (('open_gop',) if backend == 'pyav' else ())
    files = [str(clips[kind]) for kind in kinds]
    ann_file = tmp_path / 'list.txt'
    ann_file.write_text(''.join(f'{file}\t0\n' for file in files))
    pipeline = [dict(pipeline[0], backend=backend, **load), *pipeline[1:]]
    dataset = VideoDataset(ann_file=str(ann_file), delimiter='\t', pipeline=pipeline, seed=3)
    return dataset, str(ann_file), {file: VideoInfo.of(file, backend) for file in files}


def hide(monkeypatch, package):
    """Make a package look as if it were not installed."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name: None if name == package else find_spec(name)
    )


def test_help_and_its_examples(benchmark, capsys):
    with pytest.raises(SystemExit) as stop:
        benchmark.parse_args(['--help'])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert benchmark.__doc__.strip() in text
    examples = re.findall(r'^  benchmark_loader\.py(.*)$', text, re.MULTILINE)
    assert len(examples) == 5
    for line in examples:
        benchmark.parse_args(shlex.split(line))


def test_figures_agree_with_each_other(benchmark, clips, tmp_path, capsys):
    out = tmp_path / 'figures.json'
    videos = [str(clips['plain']), str(clips['b_frames'])]
    args = [CONFIG, '--workers', '0', '--num', '3', '--runs', '2', '--out', str(out)]
    benchmark.main([*args, '--videos', *videos])
    figures = json.loads(out.read_text())
    assert (figures['repeats'], figures['backend'], figures['workers']) == (2, 'pyav', 0)
    assert figures['videos']['kinds'] == ['64x48 h264'] and figures['videos']['number'] == 2
    rows = figures['loaders']
    assert set(rows) | set(figures['left_out']) == {'ours', 'decoding', 'mmaction2', 'whole_file'}
    for row in rows.values():
        low, high = row['slowest_fastest']
        assert 0 < low <= row['videos_per_second'] <= high
        assert row['clips_per_second'] == pytest.approx(2 * row['videos_per_second'])
        assert row['ours_over_this'] > 0
    assert rows['ours']['ours_over_this'] == 1
    names = [row['name'] for row in figures['transforms']]
    assert names == [
        *('LoadClips', 'ClipRandomResizedCrop', 'ClipFlip', 'RandomMasking', 'PackClips', 'rest')
    ]
    assert sum(row['share'] for row in figures['transforms']) == pytest.approx(1)
    assert all(row['share'] > 0 for row in figures['transforms'])
    assert [point['videos'] for point in figures['held']] == [3, 6, 9]
    text = capsys.readouterr().out
    assert f'{rows["ours"]["clips_per_second"]:8.2f}' in text
    assert 'whole file per clip, pyav' in text and '64x48 h264' in text


def test_prepared_videos_stand_beside_the_originals(benchmark, clips, tmp_path, capsys):
    out = tmp_path / 'figures.json'
    for folder in ('original', 'prepared'):
        (tmp_path / folder / 'sub').mkdir(parents=True)
    shutil.copy(clips['mkv'], tmp_path / 'original' / 'sub' / 'a.mkv')
    args = [CONFIG, '--num', '2', '--runs', '1', '--cpu-time', '--out', str(out)]
    args += ['--videos', str(tmp_path / 'original'), '--prepared', str(tmp_path / 'prepared')]
    with pytest.raises(SystemExit, match=r'--prepared: .*a\.mp4 is not there'):
        benchmark.main(args)
    made = tmp_path / 'prepared' / 'sub' / 'a.mp4'
    shutil.copy(clips['plain'], made)
    settings = dict(short_side=256, fps=None, codec='h264', quality=21, key_frames=16)
    (tmp_path / 'prepared' / 'prepared.json').write_text(json.dumps(settings))
    benchmark.main([*args, '--window', '3'])
    figures = json.loads(out.read_text())
    names = {'prepared', 'prepared_uncut', 'prepared_window'}
    assert names <= set(figures['loaders']) and figures['cpu_time']
    assert figures['prepared']['mb'][1] == made.stat().st_size / 1e6
    assert 30 < figures['prepared']['psnr'][0] <= 68.2
    told = capsys.readouterr().out
    assert 'ours, prepared, cut on the device' in told and 'processor time' in told
    assert 'the same, window=3' in told and 'PSNR at 224 pixels' in told
    over = 1 / figures['loaders']['prepared']['ours_over_this']
    assert re.search(rf'^ours, prepared +[\d.]+ +{over:.2f}', told, re.MULTILINE)
    with pytest.raises(SystemExit, match='--window goes with --prepared'):
        benchmark.main([CONFIG, '--window', '3'])
    with pytest.raises(SystemExit, match='--prepared goes with --videos FOLDER'):
        benchmark.main([CONFIG, '--prepared', str(tmp_path), '--videos', str(clips['plain'])])


def test_workers_are_watched(benchmark, clips, tmp_path, capsys):
    out = tmp_path / 'figures.json'
    args = [CONFIG, '--workers', '2', '--num', '2', '--runs', '1', '--soak', '25', '--repeats', '1']
    benchmark.main([*args, '--videos', str(clips['plain']), '--out', str(out)])
    figures = json.loads(out.read_text())
    soak = figures['soak']
    assert figures['repeats'] == 1 and len(soak) == 20 and soak[-1]['videos'] == 25
    for point in figures['held'] + soak:
        assert len(point['rss_mib']) == len(point['descriptors']) == 2
        assert min(point['rss_mib']) > 10 and min(point['descriptors']) > 2
    assert 'videos read by ours' in capsys.readouterr().out


def test_clips_are_made_when_none_are_given(benchmark, monkeypatch, tmp_path, capsys):
    settings = ClipSettings(num_frames=20, height=48, width=64)
    monkeypatch.setattr(benchmark, 'SYNTHETIC', settings)
    monkeypatch.setattr(benchmark, 'NUM_SYNTHETIC', 2)
    monkeypatch.setattr(benchmark.tempfile, 'tempdir', str(tmp_path))
    benchmark.main([CONFIG, '--workers', '0', '--num', '2', '--runs', '1'])
    text = capsys.readouterr().out
    assert '2 synthetic files, 64x48 h264, 0.7 s on average' in text
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize('backend', ['pyav', 'decord'])
def test_whole_file_loader_gives_our_samples(clips, tmp_path, backend):
    pytest.importorskip('av' if backend == 'pyav' else 'decord')
    dataset, _, infos = make_dataset(tmp_path, clips, backend)
    other = whole_file_dataset(dataset, infos)
    for index in range(len(dataset)):
        ours, theirs = dataset[(2, index)], other[(2, index)]
        assert torch.equal(ours['inputs'], theirs['inputs'])
        assert torch.equal(ours['ids_keep'], theirs['ids_keep'])


def test_the_span_is_decoded_and_no_more(clips):
    path = str(clips['closed_gop'])  # a keyframe every 8 frames
    info = VideoInfo.of(path, 'pyav')
    assert (info.num_frames, info.fps, info.width, info.height) == (40, 30, 64, 48)
    assert span_pyav(path, info, 20, 30) == 30 - 16 + 1
    assert span_pyav(path, info, 0, 39) == 40
    untimed = VideoInfo(40, 30, [], 64, 48, 'h264')
    assert span_pyav(path, untimed, 20, 30) == 31


def test_the_ceiling_takes_the_frames_of_our_samples(clips, tmp_path, monkeypatch):
    dataset, _, infos = make_dataset(tmp_path, clips)
    spans = []
    monkeypatch.setattr(loader_references, 'span_pyav', lambda *args: spans.append(args))
    other = span_dataset(dataset, infos)
    for index in range(len(dataset)):
        assert other[(1, index)] == {}
        frame_inds = dataset[(1, index)]['data_samples'].frame_inds
        path, _, first, last = spans[-1]
        assert path == dataset.get_data_info(index)['path']
        assert (first, last) == (frame_inds.min(), frame_inds.max())


def test_decord_decodes_a_span(clips):
    pytest.importorskip('decord')
    path = str(clips['closed_gop'])
    span_decord(path, VideoInfo.of(path, 'decord'), 20, 39)


def test_mmaction2_does_the_same_job(clips, tmp_path, monkeypatch):
    pytest.importorskip('mmaction')
    pytest.importorskip('decord')
    dataset, ann_file, _ = make_dataset(tmp_path, clips)
    theirs, label = mmaction_dataset(dataset, ann_file)
    sample = theirs[(7, 1)]
    assert label == 'mmaction2 RepeatAugDataset, decord' and len(sample) == 2
    assert all(view['inputs'].shape == (1, 3, 4, 32, 32) for view in sample)
    dataset, ann_file, _ = make_dataset(tmp_path, clips, num_clips=1)
    for library in ('decord', 'pyav'):
        theirs, label = mmaction_dataset(dataset, ann_file)
        assert label == f'mmaction2 VideoDataset, {library}'
        assert theirs[(7, 1)]['inputs'].shape == (1, 3, 4, 32, 32)
        hide(monkeypatch, 'decord')


def test_why_mmaction2_is_not_run(clips, tmp_path, monkeypatch):
    dataset, ann_file, _ = make_dataset(tmp_path, clips, sampling='uniform')
    with monkeypatch.context() as patch, pytest.raises(UnavailableError, match='not installed'):
        hide(patch, 'mmaction')
        mmaction_dataset(dataset, ann_file)
    pytest.importorskip('mmaction')
    pytest.importorskip('decord')
    with pytest.raises(UnavailableError, match="sampling='uniform'"):
        mmaction_dataset(dataset, ann_file)
    resize = [PIPELINE[0], dict(type='ClipResize', short_side=32), PIPELINE[-1]]
    dataset, ann_file, _ = make_dataset(tmp_path, clips, pipeline=resize)
    with pytest.raises(UnavailableError, match='ClipResize is not compared'):
        mmaction_dataset(dataset, ann_file)
    hide(monkeypatch, 'decord')
    with pytest.raises(UnavailableError, match='needs decord'):
        mmaction_dataset(dataset, ann_file)


def test_at_most_so_many_videos_are_used(benchmark, tmp_path):
    for number in range(10):
        (tmp_path / f'{number}.mp4').touch()
    found = benchmark.find_videos([str(tmp_path)], 4)
    assert [os.path.basename(path) for path in found] == ['0.mp4', '2.mp4', '5.mp4', '7.mp4']
    assert len(benchmark.find_videos([str(tmp_path), found[0]], 20)) == 11


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        ([CONFIG, '--workers', '-1'], '--workers must be at least 0, got -1'),
        ([CONFIG, '--repeats', '0'], '--repeats must be at least 1, got 0'),
        ([CONFIG, '--num', '0'], '--num must be at least 1, got 0'),
        ([CONFIG, '--runs', '0'], '--runs must be at least 1, got 0'),
        ([CONFIG, '--soak', '0'], '--soak must be at least 1, got 0'),
        ([CONFIG, '--videos', 'nowhere'], 'nowhere is neither a file nor a folder'),
        ([CONFIG, '--videos', '{empty}'], 'holds 0 files'),
        ([CONFIG, '--videos', '{broken}'], r'cannot read .*broken\.mp4: .*'),
        (['nothing.py', '--videos', '{clip}'], 'config nothing.py does not exist'),
        (['configs/_base_/default_runtime.py', '--videos', '{clip}'], 'must be a VideoDataset'),
        (
            [CONFIG, '--videos', '{clip}', '--cfg-options', 'train_dataloader.dataset.pipeline='],
            'starts with LoadClips',
        ),
    ],
)
def test_errors_are_one_line(benchmark, clips, tmp_path, args, message):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'broken.mp4').write_bytes(np.random.default_rng(0).bytes(5000))
    names = dict(clip=clips['plain'], empty=tmp_path / 'empty', broken=tmp_path / 'broken.mp4')
    with pytest.raises(SystemExit, match=message):
        benchmark.main([arg.format(**names) for arg in args])


def test_a_backend_that_is_not_installed(benchmark, clips, monkeypatch):
    hide(monkeypatch, 'decord')
    with pytest.raises(SystemExit, match='decord is not installed'):
        benchmark.main([CONFIG, '--backend', 'decord', '--videos', str(clips['plain'])])
