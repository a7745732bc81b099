"""Readers: frames equal to full decoding, errors in words, nothing left open."""

import gc
import importlib.util
import itertools
import os
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from mmengine.fileio import BaseStorageBackend, register_backend

from mmmae_st.datasets.readers import (
    VideoReadError,
    open_video,
    read_errors,
)
from mmmae_st.datasets.readers.frame_folder import frame_pattern

KINDS = [
    *('plain', 'b_frames', 'closed_gop', 'open_gop', 'intra_refresh', 'vfr', 'short', 'one_frame'),
    *('odd', 'fps15', 'rotated', 'mkv', 'ts', 'vp9', 'mpeg4', 'mpeg4_b'),
    *('avi_reordered', 'asf', 'mpeg2', 'av1', 'hevc'),
]
DECORD_CANNOT = {'rotated', 'ts', 'asf', 'av1'}


def decode_all(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [
            np.rot90(frame.to_ndarray(format='rgb24'), frame.rotation // 90)
            for frame in container.decode(video=0)
        ]


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('backend', ['pyav', 'decord'])
def test_frames_equal_full_decoding(clips, kind, backend):
    if backend == 'decord':
        pytest.importorskip('decord')
        if kind in DECORD_CANNOT:
            pytest.skip('documented limit of decord')
    full = decode_all(clips[kind])
    rng = np.random.default_rng(0)
    requests = [[len(full) - 1], [0, len(full) - 1]]
    requests += [
        rng.choice(len(full), size=min(len(full), size)).tolist() for size in (1, 2, 4, 8, 30)
    ]
    for indices in requests:
        with open_video(str(clips[kind]), backend) as reader:
            assert reader.num_frames == len(full)
            frames = reader.read(indices)
            frames.update(reader.read(indices[:1]))  # reading again goes back
        assert set(frames) == set(indices)
        for index, frame in frames.items():
            assert frame.dtype == np.uint8 and frame.shape == full[index].shape
            if backend == 'pyav':
                np.testing.assert_array_equal(frame, full[index])
            else:  # another colour conversion; neighbours differ by more than 10 on average
                assert np.abs(frame.astype(int) - full[index]).mean() < 2


def test_neighbouring_frames_differ(clips):
    """Without this, the test above could not tell a frame from the next."""
    full = decode_all(clips['plain'])
    assert min(np.abs(a.astype(int) - b).mean() for a, b in itertools.pairwise(full)) > 10


def test_frame_rates(clips):
    for kind, fps in dict(plain=30, fps15=15, mkv=30, mpeg4=30).items():
        with open_video(str(clips[kind])) as reader:
            assert reader.fps == pytest.approx(fps)


def test_wrong_frame_rate_in_the_header(make_clip, tmp_path):
    path = make_clip(tmp_path / 'slow.mkv', times=[100 * i for i in range(40)])
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 30  # what the file claims
    with open_video(str(path)) as reader:
        assert reader.fps == pytest.approx(10)


def test_long_gaps_are_jumped_over(make_clip, tmp_path, monkeypatch):
    """Two wanted frames in far groups of pictures must not decode what lies between."""
    path = make_clip(tmp_path / 'long.mp4', num_frames=200, gop=10)
    decoded = []
    with open_video(str(path)) as reader:
        packets_from = reader._packets_from

        def counting(numbering, key):
            for packet in packets_from(numbering, key):
                decoded.append(packet)
                yield packet

        monkeypatch.setattr(reader, '_packets_from', counting)
        assert set(reader.read([3, 195])) == {3, 195}
    assert len(decoded) < 30


def broken_files(folder: Path, clip: Path) -> dict[str, Path]:
    data = clip.read_bytes()
    contents = dict(
        empty=b'',
        text=b'not a video\n' * 100,
        cut=data[: len(data) // 3],
        noise=np.random.default_rng(0).bytes(5000),
    )
    paths = {}
    for name, content in contents.items():
        paths[name] = folder / f'{name}.mp4'
        paths[name].write_bytes(content)
    paths['folder'] = folder / 'folder.mp4'
    paths['folder'].mkdir()
    paths['missing'] = folder / 'missing.mp4'
    paths['dangling'] = folder / 'dangling.mp4'
    paths['dangling'].symlink_to(folder / 'nowhere.mp4')
    paths['pipe'] = folder / 'pipe.mp4'
    os.mkfifo(paths['pipe'])
    paths['audio'] = folder / 'audio.mp4'
    with av.open(str(paths['audio']), 'w') as container:
        stream = container.add_stream('aac', rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return paths


@pytest.mark.parametrize('backend', ['pyav', 'decord'])
def test_broken_files_raise_one_kind_of_error(clips, tmp_path, backend):
    pytest.importorskip(backend if backend == 'decord' else 'av')
    for name, path in broken_files(tmp_path, clips['plain']).items():
        with pytest.raises(VideoReadError) as info:
            open_video(str(path), backend)
        assert str(info.value) and '\n' not in str(info.value), name


def test_size_change_is_an_error(make_clip, tmp_path):
    small = make_clip(tmp_path / 'small.ts', num_frames=10)
    large = make_clip(tmp_path / 'large.ts', num_frames=10, width=96, height=64)
    both = tmp_path / 'both.ts'
    both.write_bytes(small.read_bytes() + large.read_bytes())
    with open_video(str(both)) as reader, pytest.raises(VideoReadError, match='size changes'):
        reader.read(list(range(reader.num_frames)))


def test_frame_folder(tmp_path):
    for number in range(1, 12):
        cv2.imwrite(str(tmp_path / f'img_{number:02}.png'), np.full((6, 8, 3), number, np.uint8))
    (tmp_path / 'notes.txt').write_text('x')
    with open_video(str(tmp_path), frame_tmpl='img_{:02}.png') as reader:
        assert (reader.num_frames, reader.fps) == (11, 0)
        frames = reader.read([0, 10, 10])
    assert frames[0].shape == (6, 8, 3)
    assert (frames[0][0, 0, 0], frames[10][0, 0, 0]) == (1, 11)
    with pytest.raises(VideoReadError, match='no file in the folder matches'):
        open_video(str(tmp_path), frame_tmpl='frame_{}.jpg')
    with pytest.raises(ValueError, match='frame_tmpl must hold one field'):
        frame_pattern('frame.jpg')


def test_frame_folder_is_rgb(tmp_path):
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 2] = 255  # red in OpenCV's order
    cv2.imwrite(str(tmp_path / '0.png'), image)
    with open_video(str(tmp_path), frame_tmpl='{}.png') as reader:
        assert reader.read([0])[0][0, 0].tolist() == [255, 0, 0]


def test_other_file_backends_give_the_same_frames(clips):
    """A file fetched as bytes (here by a backend that only looks remote)."""

    class RemoteBackend(BaseStorageBackend):
        def get(self, filepath):
            return Path(filepath).read_bytes()

        def get_text(self, filepath, encoding='utf-8'):
            return Path(filepath).read_text(encoding)

    register_backend('test_remote', RemoteBackend, force=True)
    full = decode_all(clips['open_gop'])
    path = str(clips['open_gop'])
    with open_video(path, backend_args=dict(backend='test_remote')) as reader:
        np.testing.assert_array_equal(reader.read([30])[30], full[30])


def test_unknown_backend(clips):
    with pytest.raises(ValueError, match="backend must be one of .*'pyav'.*got 'vlc'"):
        open_video(str(clips['plain']), 'vlc')


def test_a_decoder_that_is_not_installed_is_no_fault_of_the_video(clips, monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ValueError, match='decord is not installed: pip install decord'):
        open_video(str(clips['plain']), 'decord')


def test_mutated_files_give_frames_or_one_kind_of_error(clips, tmp_path):
    rng = np.random.default_rng(0)
    outcomes = {True: 0, False: 0}
    for trial in range(300):
        path = clips[KINDS[trial % len(KINDS)]]
        data = bytearray(path.read_bytes())
        for place in rng.integers(0, len(data), rng.integers(1, 50)):
            data[place] = rng.integers(256)
        mutated = tmp_path / f'mutated{path.suffix}'
        mutated.write_bytes(data[: rng.integers(len(data)) if trial % 3 == 0 else None])
        try:
            with open_video(str(mutated)) as reader, read_errors():
                frames = reader.read([0, reader.num_frames - 1])
            assert all(frame.dtype == np.uint8 for frame in frames.values())
            outcomes[True] += 1
        except VideoReadError:
            outcomes[False] += 1
    assert min(outcomes.values()) > 30


def test_no_descriptor_is_left_open(clips, tmp_path):
    cut = tmp_path / 'cut.mp4'
    cut.write_bytes(clips['plain'].read_bytes()[:3000])

    gc.collect()  # loaders of other tests

    def use_all() -> None:
        for kind in ('plain', 'open_gop', 'mkv', 'ts'):
            with open_video(str(clips[kind])) as reader:
                reader.read([1, 5])
        with pytest.raises(VideoReadError):
            open_video(str(cut))

    use_all()
    before = len(os.listdir('/proc/self/fd'))
    for _ in range(60):
        use_all()
    assert len(os.listdir('/proc/self/fd')) == before
