"""VideoDataset: construction, determinism, broken videos."""

import gc
import pickle
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from mmmae_st.datasets import VideoDataset
from mmmae_st.registry import DATASETS

LOAD = dict(type='LoadClips', clip_len=4, frame_interval=2, num_clips=2)
PIPELINE = [LOAD, dict(type='ClipRandomResizedCrop', size=32), dict(type='PackClips')]


@pytest.fixture
def folder(clips, tmp_path):
    """Ten good clips, two broken ones, and a list with labels."""
    for i in range(10):
        shutil.copy(clips['plain'], tmp_path / f'clip {i}.mp4')
    (tmp_path / 'broken_a.mp4').write_bytes(b'')
    (tmp_path / 'broken_b.mp4').write_text('text')
    (tmp_path / 'list.txt').write_text(''.join(f'clip {i}.mp4 {i}\n' for i in range(10)))
    return tmp_path


def test_folder_and_list(folder):
    scanned = VideoDataset(data_root=str(folder), pipeline=PIPELINE)
    assert len(scanned) == 12 and 'label' not in scanned.get_data_info(5)
    listed = DATASETS.build(
        dict(type='VideoDataset', ann_file='list.txt', data_root=str(folder), pipeline=PIPELINE)
    )
    assert len(listed) == 10
    sample = listed[3]
    assert sample['inputs'].shape == (2, 3, 4, 32, 32)
    meta = sample['data_samples']
    assert (meta.label, meta.index, meta.epoch, meta.failures) == (3, 3, 0, [])
    assert meta.path == str(folder / 'clip 3.mp4')


def test_data_prefix_and_indices(folder):
    (folder / 'videos').mkdir()
    shutil.move(folder / 'clip 0.mp4', folder / 'videos' / 'clip 0.mp4')
    shutil.move(folder / 'clip 1.mp4', folder / 'videos' / 'clip 1.mp4')
    dataset = VideoDataset(
        ann_file='list.txt', data_root=str(folder), data_prefix=dict(video='videos'), indices=2
    )
    assert [dataset.get_data_info(i)['path'] for i in range(len(dataset))] == [
        str(folder / 'videos' / f'clip {i}.mp4') for i in range(2)
    ]
    assert len(VideoDataset(data_root=str(folder), data_prefix=dict(video='videos'))) == 2


def test_raw_frames(tmp_path):
    import cv2

    for name in ('x', 'y'):
        (tmp_path / name).mkdir()
        for i in range(1, 9):
            cv2.imwrite(str(tmp_path / name / f'{i:03}.png'), np.full((40, 50, 3), i, np.uint8))
    (tmp_path / 'list.txt').write_text('x 8 0\ny 8 1\n')
    dataset = VideoDataset(
        'list.txt', str(tmp_path), pipeline=PIPELINE, frame_tmpl='{:03}.png', test_mode=True
    )
    sample = dataset[1]
    inds = sample['data_samples'].frame_inds
    assert sample['data_samples'].label == 1
    assert sample['inputs'][:, 0, :, 0, 0].tolist() == (inds + 1).tolist()


def test_samples_depend_on_seed_epoch_and_index_only(folder):
    def build(seed=0):
        return VideoDataset('list.txt', str(folder), pipeline=PIPELINE, seed=seed)

    dataset, again = build(), build()
    again[(5, 1)]  # what was read before does not matter
    np.random.seed(1)
    first, second = dataset[(2, 3)], again[(2, 3)]
    assert first['inputs'].equal(second['inputs'])
    assert dataset[(0, 3)]['inputs'].equal(dataset[3]['inputs'])
    others = [dataset[(3, 3)], dataset[(2, 4)], build(seed=1)[(2, 3)]]
    assert not any(first['inputs'].equal(other['inputs']) for other in others)
    assert not first['inputs'][0].equal(first['inputs'][1])  # views differ


def test_broken_video_is_replaced_alike_everywhere(folder):
    dataset = VideoDataset(data_root=str(folder), pipeline=PIPELINE)
    broken = str(folder / 'broken_a.mp4')
    samples = [dataset[(epoch, 0)] for epoch in range(8)]
    for sample in samples:
        meta = sample['data_samples']
        assert meta.index == 0 and Path(meta.path).name.startswith('clip')
        assert meta.failures[0] == (
            broken,
            'InvalidDataError: Invalid data found when processing input',
        )
    assert len({sample['data_samples'].path for sample in samples}) > 2
    copy = pickle.loads(pickle.dumps(dataset))
    copy[7]
    assert copy[(4, 0)]['inputs'].equal(samples[4]['inputs'])


def test_all_broken_is_an_error(folder):
    (folder / 'bad').mkdir()
    for i in range(30):
        (folder / 'bad' / f'{i}.mp4').write_text('text')
    dataset = VideoDataset(data_root=str(folder / 'bad'), pipeline=PIPELINE, max_refetch=5)
    with pytest.raises(RuntimeError, match=r'6 videos in a row .*max_refetch=5.*0\.mp4 \(Invalid'):
        dataset[0]


def test_broken_video_in_test_mode_is_an_error(folder):
    dataset = VideoDataset(data_root=str(folder), pipeline=PIPELINE, test_mode=True)
    with pytest.raises(RuntimeError, match='cannot read .*broken_a.mp4: Invalid'):
        dataset[0]
    assert dataset[5]['data_samples'].failures == []


def test_errors_of_transforms_are_not_taken_for_broken_videos(folder):
    too_large = [LOAD, dict(type='ClipCenterCrop', size=500), dict(type='PackClips')]
    dataset = VideoDataset(data_root=str(folder), pipeline=too_large)
    with pytest.raises(ValueError, match='size 500 exceeds'):
        dataset[5]


def test_video_shorter_than_a_clip(clips, tmp_path):
    shutil.copy(clips['short'], tmp_path)
    load = dict(type='LoadClips', clip_len=16, frame_interval=4, num_clips=2)
    dataset = VideoDataset(data_root=str(tmp_path), pipeline=[load, *PIPELINE[1:]])
    inds = dataset[0]['data_samples'].frame_inds
    assert inds.tolist() == [[0] + [4] * 15] * 2


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (dict(), 'one of ann_file, data_root'),
        (dict(data_root='x', seed=-1), 'seed must be an integer >= 0, got -1'),
        (dict(data_root='x', delimiter=';'), "delimiter must be one of .* got ';'"),
        (dict(data_root='x', max_refetch=-1), 'max_refetch must be an integer >= 0, got -1'),
        (dict(data_root='x', frame_tmpl='a.jpg'), 'frame_tmpl must hold one field'),
        (
            dict(data_root='x', data_prefix=dict(img='')),
            "data_prefix must have the one key 'video'",
        ),
    ],
)
def test_bad_arguments(args, message):
    with pytest.raises(ValueError, match=message):
        VideoDataset(**args)


def test_bad_data_is_found_at_construction(folder):
    with pytest.raises(FileNotFoundError, match='nowhere.txt'):
        VideoDataset('nowhere.txt', str(folder))
    (folder / 'empty').mkdir()
    with pytest.raises(ValueError, match='holds 0 files'):
        VideoDataset(data_root=str(folder / 'empty'))
    (folder / 'up.txt').write_text('../x.mp4\n')
    with pytest.raises(ValueError, match=r"'\.\./x\.mp4' leaves the data root"):
        VideoDataset('up.txt', str(folder))
    with pytest.raises(TypeError, match='unexpected'):
        VideoDataset('list.txt', str(folder), shuffle=True)


def test_index_out_of_range(folder):
    dataset = VideoDataset('list.txt', str(folder), pipeline=PIPELINE)
    with pytest.raises(IndexError, match='index 10 is out of range for 10 videos'):
        dataset[10]
    assert dataset[-1]['data_samples'].index == 9


def test_lazy_init_needs_no_files():
    dataset = VideoDataset('nowhere.txt', '/nowhere', pipeline=PIPELINE, lazy_init=True)
    with pytest.raises(FileNotFoundError):
        len(dataset)


def test_a_hundred_thousand_records_stay_small(tmp_path):
    """Records are held as text, which workers share, not as Python objects."""
    text = ''.join(f'videos/{i}.mp4 {i % 400}\n' for i in range(10**5))
    (tmp_path / 'list.txt').write_text(text)
    tracemalloc.start()
    dataset = VideoDataset('list.txt', str(tmp_path))
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < len(text) + 3 * 8.5 * 10**5 and peak < 2 * held
    assert len(dataset) == 10**5
    assert dataset.get_data_info(99_999)['label'] == 99_999 % 400
    dataset.get_subset_([5, 99_998])
    assert [dataset.get_data_info(i)['label'] for i in (0, 1)] == [5, 99_998 % 400]


def test_records_of_a_class_of_ones_own(folder):
    class Own(VideoDataset):
        def load_data_list(self):
            return [dict(path=f'{i}.mp4', label=i, more='x') for i in range(5)]

    dataset = Own('list.txt', str(folder), indices=[1, 4])
    assert len(dataset) == 2 and not dataset.data_list  # mmengine keeps them as bytes
    assert dataset.get_data_info(1) == dict(path='4.mp4', label=4, more='x', sample_idx=1)


@pytest.mark.parametrize('load', [dict(), dict(cut_on_device=True)])
def test_samples_leave_nothing_to_the_garbage_collector(clips, tmp_path, load):
    """Frames in circles of references would wait for it, and memory grow, in pieces."""
    kinds = ('plain', 'b_frames', 'vfr', 'mkv', 'avi_reordered', 'rotated', 'intra_refresh')
    for kind in kinds:
        shutil.copy(clips[kind], tmp_path / clips[kind].name)
    (tmp_path / 'cut.mp4').write_bytes(clips['plain'].read_bytes()[:3000])
    damaged = bytearray(clips['plain'].read_bytes())
    damaged[3000:9000:7] = bytes(len(range(3000, 9000, 7)))
    (tmp_path / 'damaged.mp4').write_bytes(damaged)
    dataset = VideoDataset(data_root=str(tmp_path), pipeline=[dict(LOAD, **load), *PIPELINE[1:]])
    failures = 0
    for epoch in range(2):
        gc.collect()
        gc.disable()
        try:
            for index in range(len(dataset)):
                failures += len(dataset[(epoch, index)]['data_samples'].failures)
            found = gc.collect()
        finally:
            gc.enable()
    assert found == 0, 'objects in circles, in the second epoch'
    assert failures >= 2
