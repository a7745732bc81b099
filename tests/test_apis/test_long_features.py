"""Features all along videos: those of the same frames read as clips, whole files, taken up."""

import json

import av
import numpy as np
import pytest
import torch
from support.tiny_checkpoint import write_tiny_checkpoint

from mmmae_st import FeatureInferencer, LongFeatureInferencer, load_encoder
from mmmae_st.apis import long_feature_inferencer
from mmmae_st.apis.feature_inferencer import ClipEncoder
from mmmae_st.datasets import VideoReadError
from mmmae_st.datasets.parallel import Outcome
from mmmae_st.datasets.readers import open_video
from mmmae_st.datasets.transforms import ClipCenterCrop, ClipResize
from mmmae_st.datasets.transforms.frame_sampling import plan_windows


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp('model') / 'epoch_1.pth'
    write_tiny_checkpoint(path)
    return path


@pytest.fixture(scope='module')
def videos(tmp_path_factory, make_clip):
    """Three videos of 80, 90 and 100 frames in a folder, one of them in a sub-folder."""
    folder = tmp_path_factory.mktemp('videos')
    (folder / 'sub').mkdir()
    for name, number in (('a.mp4', 80), ('b.mp4', 90), ('sub/c.mp4', 100)):
        make_clip(folder / name, num_frames=number, gop=12)
    return folder


def cut_off(source, target, share=0.6):
    data = source.read_bytes()
    target.write_bytes(data[: int(share * len(data))])
    return target


@pytest.mark.parametrize('output', ['pooled', 'spatial'])
@pytest.mark.parametrize('layer', [-1, 0])
def test_features_are_those_of_the_same_frames_read_as_clips(checkpoint, videos, output, layer):
    infer = LongFeatureInferencer(
        checkpoint, output=output, layer=layer, stride=5, frame_interval=2
    )
    (found,) = infer(videos / 'a.mp4', batch_size=4, dtype='float32')

    with open_video(str(videos / 'a.mp4')) as reader:
        frame_inds, seconds = plan_windows(80, reader.fps, reader.times, 8, 2, 5)
        frames = reader.read(frame_inds.ravel().tolist())
    encoder = ClipEncoder(load_encoder(checkpoint), output=output, layer=layer)
    expected = []
    for window in frame_inds.tolist():
        results = dict(clips=[[frames[i] for i in window]])
        clip = ClipCenterCrop(32)(ClipResize(32)(results))['clips']
        expected.append(encoder([torch.from_numpy(clip).permute(0, 4, 1, 2, 3)])[0].numpy())
    assert found['features'].shape == (13, *((32,) if output == 'pooled' else (4, 4, 32)))
    np.testing.assert_allclose(found['features'], expected, atol=1e-5)
    assert np.array_equal(found['seconds'], seconds) and found['error'] is None


def test_one_window_is_what_the_feature_inferencer_gives(checkpoint, make_clip, tmp_path):
    video = make_clip(tmp_path / 'a.mp4', num_frames=16)
    (one,) = LongFeatureInferencer(checkpoint, frame_interval=2)(video, dtype='float32')
    (whole,) = FeatureInferencer(checkpoint, frame_interval=2)(video)
    np.testing.assert_allclose(one['features'], whole['features'][None], atol=1e-5)


def test_folder_holds_matrices_that_localisation_codes_read(checkpoint, videos, tmp_path):
    infer = LongFeatureInferencer(checkpoint, stride=4, frame_interval=2)
    found = infer(videos, out_dir=tmp_path)
    for video, number in zip(found, (17, 19, 22), strict=True):
        features = np.load(video['file'])
        assert features.shape == (number, 32) and features.dtype == np.float16
        note = json.loads(video['file'].with_suffix('.json').read_text())
        assert note['windows'] == note['windows_expected'] == number
        assert note['seconds_per_stride'] == pytest.approx(4 / 30)
    assert found[2]['file'] == tmp_path / 'sub/c.npy'
    assert not list(tmp_path.rglob('.*'))

    packed = infer(videos, out_dir=tmp_path / 'npz', suffix='.npz')
    with np.load(packed[0]['file']) as content:
        assert np.array_equal(content['feats'], np.load(found[0]['file']))
        assert content['fps'] == 30
        # Where ActionFormer sees seconds: num_frames=16, a window of 8 frames, every second one.
        rows = (content['seconds'].mean(axis=1) * 30 - 0.5 * 16) / 4
        np.testing.assert_allclose(rows, np.arange(17), atol=1e-9)


def test_interrupted_run_is_taken_up(checkpoint, videos, tmp_path, monkeypatch):
    infer = LongFeatureInferencer(checkpoint, frame_interval=2)
    infer(videos / 'a.mp4', out_dir=tmp_path)
    stamp = (tmp_path / 'a.npy').stat().st_mtime_ns

    original, calls = ClipEncoder.forward, []

    def interrupted(self, clips):
        calls.append(clips)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, clips)

    monkeypatch.setattr(ClipEncoder, 'forward', interrupted)
    with pytest.raises(KeyboardInterrupt):
        infer(videos, out_dir=tmp_path, batch_size=2)
    assert sorted(path.name for path in tmp_path.glob('*.npy')) == ['a.npy']
    monkeypatch.undo()
    infer(videos, out_dir=tmp_path)
    assert (tmp_path / 'a.npy').stat().st_mtime_ns == stamp
    assert (tmp_path / 'b.npy').exists() and (tmp_path / 'sub/c.npy').exists()
    with pytest.raises(ValueError, match='holds features of stride=16, not 8: give another folder'):
        LongFeatureInferencer(checkpoint, stride=8, frame_interval=2)(videos, out_dir=tmp_path)


def in_this_process(function, tasks, workers, timeout, initializer, initargs, context):
    """``run_parallel`` without processes, which take long to start."""
    initializer(*initargs)
    for task in tasks:
        try:
            yield Outcome(task, function(task))
        except VideoReadError as error:
            yield Outcome(task, error=str(error))


@pytest.mark.parametrize('start', [pytest.param('spawn', marks=pytest.mark.long), 'none'])
def test_several_processes_write_the_same(checkpoint, videos, tmp_path, monkeypatch, start):
    if start == 'none':
        monkeypatch.setattr(long_feature_inferencer, 'run_parallel', in_this_process)
        monkeypatch.setattr(torch, 'set_num_threads', lambda number: None)
    (tmp_path / 'bad.mp4').write_bytes(b'no video')
    infer = LongFeatureInferencer(checkpoint, stride=4, frame_interval=2)
    inputs = [videos / 'a.mp4', tmp_path / 'bad.mp4', videos / 'b.mp4']
    alone = infer(inputs, out_dir=tmp_path / 'alone')
    shared = infer(inputs, out_dir=tmp_path / 'shared', num_processes=2)
    assert [video['error'] for video in alone] == [video['error'] for video in shared]
    assert shared[1]['error'] and shared[1]['file'] is None
    for left, right in zip(alone[::2], shared[::2], strict=True):
        np.testing.assert_allclose(np.load(left['file']), np.load(right['file']), atol=2e-3)


@pytest.mark.parametrize('suffix', ['.mkv', '.mp4', '.avi'])
def test_file_that_breaks_off_keeps_what_was_read_and_says_so(
    checkpoint, make_clip, tmp_path, suffix
):
    whole = make_clip(
        tmp_path / f'whole{suffix}',
        num_frames=150,
        codec='mpeg4' if suffix == '.avi' else 'libx264',
    )
    if suffix == '.mp4':
        whole = with_index_first(whole, tmp_path / 'first.mp4')
    infer = LongFeatureInferencer(checkpoint, stride=4, frame_interval=1)
    (full,) = infer(whole, dtype='float32')
    part = cut_off(whole, tmp_path / f'part{suffix}')
    (found,) = infer(part, dtype='float32')
    assert 'breaks off at' in found['error'] and 'of 5.0 s' in found['error']
    number = len(found['features'])
    assert 10 < number < len(full['features']) - 5
    np.testing.assert_allclose(found['features'], full['features'][:number], atol=1e-4)
    (written,) = infer(part, out_dir=tmp_path / 'out')
    assert len(np.load(written['file'])) == number and written['error'] == found['error']
    (again,) = infer(part, out_dir=tmp_path / 'out')
    assert again == written


def with_index_first(source, target):
    """The same packets in an MP4 file whose index stands before the pictures."""
    with (
        av.open(str(source)) as given,
        av.open(str(target), 'w', options=dict(movflags='faststart')) as made,
    ):
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    return target


def test_arrays_are_videos_of_thirty_frames_a_second(checkpoint):
    video = np.random.default_rng(0).integers(0, 256, (40, 40, 48, 3), np.uint8)
    (found,) = LongFeatureInferencer(checkpoint, stride=8, frame_interval=2)(video)
    assert found['features'].shape == (4, 32) and found['features'].dtype == np.float16
    assert found['seconds'][1].tolist() == pytest.approx([8 / 30, 24 / 30])


@pytest.mark.parametrize(
    ('made', 'called', 'message'),
    [
        (dict(output='tokens'), {}, "output must be one of .*, got 'tokens'"),
        (dict(stride=0), {}, 'stride must be greater than 0, got 0'),
        ({}, dict(dtype='int8'), "dtype must be one of .*, got 'int8'"),
        ({}, dict(suffix='.txt'), "suffix must be one of .*, got '.txt'"),
        ({}, dict(num_processes=2), 'needs out_dir'),
        ({}, dict(num_processes=0), 'num_processes must be at least 1, got 0'),
    ],
)
def test_bad_arguments_are_named(checkpoint, videos, made, called, message):
    with pytest.raises(ValueError, match=message):
        LongFeatureInferencer(checkpoint, **made)(videos / 'a.mp4', **called)
