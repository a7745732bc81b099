"""The index of packed videos: what it refuses, what it costs, and where shards may be."""

import multiprocessing
import pickle
import shutil
import tarfile
import time
from pathlib import Path

import fsspec
import numpy as np
import pytest
from mmengine.fileio import BaseStorageBackend, register_backend
from mmengine.logging import MMLogger
from support.packed import pack

from mmmae_st.datasets import VideoDataset
from mmmae_st.datasets.shards import COLUMNS, ShardIndex
from mmmae_st.fileio.columns import write_columns

LOAD = dict(type='LoadClips', clip_len=4, frame_interval=2)
PIPELINE = [LOAD, dict(type='ClipRandomResizedCrop', size=32), dict(type='PackClips')]


def columns_of(number, shards=1):
    """An index of made-up videos, whose names come again after a thousand."""
    names = [f'class {i % 400}/video_{i:07}_{i % 9:06}.mp4' for i in range(min(number, 1000))]
    each = np.arange(number)
    again = number // len(names)
    values = dict(
        paths=np.tile(np.frombuffer(''.join(names).encode(), np.uint8), again),
        path_ends=np.cumsum([len(name) for name in names] * again),
        shards=np.array([f'{i:06}.tar' for i in range(shards)]),
        shard_bytes=np.full(shards, 10**9),
        shard=each * shards // number,
        offset=512 + each * 10**6,
        bytes=np.full(number, 600_000),
        crc32=each,
        frames=np.full(number, 75),
        rate=np.full(number, 7.5),
        key_frames=np.tile([0, 16, 32, 48, 64], number),
        key_frame_ends=5 * (each + 1),
        by_table=np.ones(number),
        label=each % 400,
    )
    return {name: np.asarray(value, COLUMNS[name]) for name, value in values.items()}


@pytest.fixture
def write(tmp_path):
    """Write an index, columns changed, and a shard with nothing in it."""

    def do(columns=None, **changed):
        (tmp_path / '000000.tar').touch()
        write_columns(tmp_path / 'index.npz', {**(columns or columns_of(20)), **changed})
        return str(tmp_path / 'index.npz')

    return do


def test_records(write, tmp_path):
    index = ShardIndex(write())
    assert len(index) == 20 and index.labels.tolist() == list(range(20))
    record = index[-1]
    assert record['path'] == 'class 19/video_0000019_000001.mp4' and record['label'] == 19
    stored = record['stored']
    assert stored[:4] == (str(tmp_path / '000000.tar'), 19_000_512, 600_000, 19)
    assert stored.contents == (75, 7.5, (0, 16, 32, 48, 64)) and stored.by_table is True
    assert [record['path'] for record in index][-1] == record['path']
    with pytest.raises(IndexError, match='index 20 is out of range for 20 videos'):
        index[20]

    part = index[5:15][[0, 3, -1]]
    assert [r['label'] for r in part] == part.labels.tolist() == [5, 8, 14]
    copy = pickle.loads(pickle.dumps(part))
    assert list(copy) == list(part) and len(pickle.dumps(part)) < 1000

    dataset = VideoDataset(index.ann_file, indices=[4, 2])
    assert [dataset.get_data_info(i)['label'] for i in range(2)] == [4, 2]
    assert len(VideoDataset(index.ann_file, indices=7)) == 7

    columns = columns_of(3)
    del columns['label']
    assert 'label' not in ShardIndex(write(columns))[0]


@pytest.mark.parametrize(
    ('changed', 'fault'),
    [
        (dict(frames=np.arange(3)), "column 'frames' has 3 values for 20 videos"),
        (dict(offset=np.zeros(20)), "column 'offset' has numbers of type float64"),
        (dict(path_ends=np.arange(20)), "columns 'paths' and 'path_ends' do not fit"),
        (dict(key_frame_ends=np.r_[9, 3, 5 * np.arange(3, 21)]), "'key_frame_ends' do not fit"),
        (dict(shards=np.array(['a', 'b'])), "columns 'shards' and 'shard_bytes' do not fit"),
        (dict(shards=np.array(['../a'])), 'a shard is not named by a plain file name'),
        (dict(shard=np.arange(20, dtype=np.int32)), 'a video is in shard 19 of 1'),
        (dict(offset=np.arange(20) - 1), 'a video begins before its shard'),
        (
            {k: v[:0] for k, v in columns_of(1).items() if k not in ('shards', 'shard_bytes')},
            'it names no video',
        ),
    ],
)
def test_what_is_no_index(write, changed, fault):
    with pytest.raises(ValueError, match=rf'index.npz is no index of shards: .*{fault}'):
        VideoDataset(write(**changed))


def test_damaged_indices(write, tmp_path):
    path = Path(write())
    whole = path.read_bytes()
    for data, fault in (whole[:-100], 'damaged'), (b'', 'empty'), (b'text', 'damaged'):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=f'index.npz is {fault}'):
            VideoDataset(str(path))
    for save, fault in (
        (lambda: np.savez_compressed(path, frames=np.arange(9)), 'frames.npy is compressed'),
        (lambda: np.savez(path, frames=np.zeros((2, 2))), 'frames.npy is no column of numbers'),
        (lambda: np.savez(path, frames=np.array([{}])), 'frames.npy is no column of numbers'),
        (lambda: np.savez(path, frames=np.arange(9)), "no index of shards: it has no column 'pat"),
    ):
        save()
        with pytest.raises(ValueError, match=fault):
            VideoDataset(str(path))
    with pytest.raises(FileNotFoundError, match='none.npz.* is not a file'):
        VideoDataset('none.npz')
    with pytest.raises(ValueError, match='frame_tmpl must be None with an index'):
        VideoDataset(str(path), frame_tmpl='{}.jpg')


def test_where_shards_are_looked_for(write, tmp_path):
    """Beside the index, else where data_prefix says."""
    path = write()
    args = dict(ann_file='index.npz', data_root=str(tmp_path), data_prefix=dict(video='other'))

    def folder():
        return Path(VideoDataset(**args).get_data_info(0)['stored'].file).parent

    assert folder() == tmp_path
    (tmp_path / 'other').mkdir()
    (tmp_path / '000000.tar').rename(tmp_path / 'other' / '000000.tar')
    assert folder() == tmp_path / 'other'
    with pytest.raises(FileNotFoundError, match='data_prefix'):
        VideoDataset(path)


def test_missing_shards(write, tmp_path, caplog):
    columns = columns_of(20, shards=2)
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        assert len(VideoDataset(write(columns))) == 20
    finally:
        logger.removeHandler(caplog.handler)
    assert '1 of 2 shards are not there, the first: 000001.tar' in caplog.text
    (tmp_path / '000000.tar').unlink()
    with pytest.raises(FileNotFoundError, match='none of the 2 shards of .* is in '):
        VideoDataset(str(tmp_path / 'index.npz'))


def anonymous_memory():
    """Bytes of this process that no file backs."""
    for line in Path('/proc/self/smaps_rollup').read_text().splitlines():
        if line.startswith('Anonymous:'):
            return 1024 * int(line.split()[1])


def read_some(dataset, queue):
    before = anonymous_memory()
    for index in np.random.default_rng(0).integers(len(dataset), size=2000):
        assert dataset.get_data_info(int(index))['label'] == index % 400
    queue.put(anonymous_memory() - before)


def test_a_million_videos(tmp_path):
    """Begin in two seconds and 100 MB a process; a worker that reads adds next to nothing."""
    path = str(tmp_path / 'index.npz')
    (tmp_path / '000000.tar').touch()
    np.savez(path, **columns_of(10**6))
    before, begin = anonymous_memory(), time.process_time()
    dataset = VideoDataset(path)
    seconds, grown = time.process_time() - begin, anonymous_memory() - before
    assert len(dataset) == 10**6 and Path(path).stat().st_size > 10**8
    assert seconds < 2 and grown < 50e6, (seconds, grown)
    context = multiprocessing.get_context('fork')
    queue = context.Queue()
    worker = context.Process(target=read_some, args=(dataset, queue))
    worker.start()
    of_worker = queue.get(timeout=60)
    worker.join()
    assert of_worker < 20e6
    print(f'{seconds:.2f} s, {grown / 1e6:.1f} MB, {of_worker / 1e6:.1f} MB in a worker')


@pytest.fixture
def bucket(clips, tmp_path):
    """Two packed videos in a store of fsspec, and the files they were made of."""
    for name in ('a.mp4', 'b.mp4'):
        shutil.copy(clips['plain'], tmp_path / name)
    pack(tmp_path, tmp_path / 'shards')
    files = fsspec.filesystem('memory')
    for path in (tmp_path / 'shards').glob('[!.]*'):
        files.pipe(f'/bucket/shards/{path.name}', path.read_bytes())
    return tmp_path


def test_shards_in_a_store(bucket):
    """Index and shards there, or the index here and the shards there."""
    (bucket / 'shards' / 'index.npz').rename(bucket / 'index.npz')
    store = dict(backend='fsspec')
    pipeline = [dict(LOAD, backend_args=store), *PIPELINE[1:]]
    expected = VideoDataset(data_root=str(bucket), pipeline=PIPELINE)[(3, 1)]['inputs']
    for place in (
        dict(ann_file='memory://bucket/shards/index.npz', backend_args=store),
        dict(
            ann_file=str(bucket / 'index.npz'),
            data_prefix=dict(video='memory://bucket/shards'),
        ),
    ):
        dataset = VideoDataset(pipeline=pipeline, **place)
        sample = pickle.loads(pickle.dumps(dataset))[(3, 1)]
        assert sample['inputs'].equal(expected)
        assert sample['data_samples'].failures == []
    files = fsspec.filesystem('memory')
    files.pipe('/bucket/shards/000000.tar', files.cat('/bucket/shards/000000.tar')[:600])
    with pytest.raises(RuntimeError, match='memory://bucket/shards/000000.tar is cut'):
        VideoDataset(pipeline=pipeline, test_mode=True, **place)[1]


def test_backends_without_ranges_are_refused_at_the_start(bucket):
    class Whole(BaseStorageBackend):
        def get(self, filepath):
            return b''

        def get_text(self, filepath):
            return ''

    register_backend('whole_files_only', Whole, force=True)
    load = dict(LOAD, backend_args=dict(backend='whole_files_only'))
    with pytest.raises(ValueError, match='Whole reads whole files only'):
        VideoDataset(str(bucket / 'shards' / 'index.npz'), pipeline=[load])


def test_names_that_are_no_text(tmp_path, clips):
    """Files of other systems may have names that are not UTF-8."""
    (tmp_path / 'v').mkdir()
    shutil.copy(clips['plain'], tmp_path / 'v' / 'caf\udce9.mp4')
    dataset = VideoDataset(str(pack(tmp_path / 'v', tmp_path / 's')), pipeline=PIPELINE)
    assert dataset[0]['data_samples'].path == 'caf\udce9.mp4'
    with tarfile.open(tmp_path / 's' / '000000.tar') as tar:
        assert tar.getnames() == ['caf\udce9.mp4']
