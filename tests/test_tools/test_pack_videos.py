"""tools/dataset_converters/pack_videos.py, and training on what it packs."""

import re
import shutil
import tarfile

import numpy as np
import pytest
from support.killed import kill_when

from mmmae_st.datasets import VideoDataset

LOAD = dict(type='LoadClips', clip_len=4, frame_interval=2, num_clips=2)
PIPELINE = [LOAD, dict(type='ClipRandomResizedCrop', size=32), dict(type='PackClips')]
NAMES = ['a b.mp4', 'c.mp4', 'd.avi', 'deep/er/e.mp4', 'é' * 60 + '.mkv', 'long' * 30 + '.mp4']


@pytest.fixture
def pack(converter):
    """Run the tool on two folders."""

    def run(source, target, *args):
        return converter.run('pack_videos', source, target, '--workers', 2, *args)

    return run


@pytest.fixture(scope='module')
def source(tmp_path_factory, clips):
    """A folder of videos of several kinds, with a list of them in an order of its own."""
    folder = tmp_path_factory.mktemp('videos') / 'source'
    kinds = ('plain', 'b_frames', 'mpeg4', 'plain', 'mkv', 'closed_gop')
    for name, kind in zip(NAMES, kinds, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clips[kind], folder / name)
    (folder.parent / 'list.txt').write_text('d.avi 2\nc.mp4 0\ndeep/er/e.mp4 1\na b.mp4 2\n')
    return folder


def samples(dataset):
    """All samples of two epochs."""
    keys = [(epoch, index) for epoch in (0, 3) for index in range(len(dataset))]
    return [dataset[key] for key in keys]


def require_same(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        assert one['inputs'].equal(other['inputs'])
        mine, his = one['data_samples'], other['data_samples']
        assert his.path.endswith(mine.path)
        assert (mine.index, mine.epoch) == (his.index, his.epoch)
        np.testing.assert_array_equal(mine.frame_inds, his.frame_inds)
        assert mine.get('label') == his.get('label')


def test_shards_are_plain_tar_files_with_an_index(tmp_path, source, pack):
    target = tmp_path / 'target'
    assert pack(source, target, '--list', source.parent / 'list.txt') == 0
    with tarfile.open(target / '000000.tar') as tar:
        names = ['d.avi', 'd.cls', 'c.mp4', 'c.cls', 'deep/er/e.mp4', 'deep/er/e.cls']
        assert tar.getnames() == [*names, 'a b.mp4', 'a b.cls']
        assert tar.extractfile('d.cls').read() == b'2'
        assert tar.extractfile('c.mp4').read() == (source / 'c.mp4').read_bytes()
        places = {member.name: (member.offset_data, member.size) for member in tar}
    index = np.load(target / 'index.npz')
    listed = ['d.avi', 'c.mp4', 'deep/er/e.mp4', 'a b.mp4']
    assert bytes(index['paths']).decode() == ''.join(listed)
    assert index['path_ends'].tolist() == np.cumsum([len(name) for name in listed]).tolist()
    found = list(zip(index['offset'].tolist(), index['bytes'].tolist(), strict=True))
    assert found == [places[name] for name in listed]
    assert index['label'].tolist() == [2, 0, 1, 2]
    assert index['frames'].tolist() == [40] * 4 and index['rate'].tolist() == [30.0] * 4
    assert index['by_table'].tolist() == [True, False, True, True]
    keys = np.split(index['key_frames'], index['key_frame_ends'][:-1])
    assert keys[2].tolist() == [0, 12, 24, 36]


@pytest.mark.parametrize('listed', [False, True])
@pytest.mark.parametrize('megabytes', [1, 1000])
def test_samples_are_those_of_the_files(
    tmp_path, source, pack, converter, listed, megabytes, monkeypatch
):
    args = ('--list', source.parent / 'list.txt') if listed else ()
    limit = 20_000 if megabytes == 1 else 1e9
    packing = converter.load('packing')
    monkeypatch.setattr(
        converter.load('pack_videos'),
        'pack_folder',
        lambda *given: packing.pack_folder(*given[:4], limit, given[5]),
    )
    assert pack(source, tmp_path / 'target', *args) == 0
    assert (len(list(tmp_path.glob('target/*.tar'))) > 1) is (megabytes == 1)
    packed = VideoDataset(str(tmp_path / 'target' / 'index.npz'), pipeline=PIPELINE)
    list_file = str(source.parent / 'list.txt') if listed else ''
    files = VideoDataset(list_file, str(source), pipeline=PIPELINE)
    assert len(packed) == len(files) == (4 if listed else 6)
    require_same(samples(packed), samples(files))


def test_changed_shards_are_named_and_their_videos_replaced(tmp_path, source, pack, caplog):
    target = tmp_path / 'target'
    assert pack(source, target, '--list', source.parent / 'list.txt') == 0
    whole = (target / '000000.tar').read_bytes()
    dataset = VideoDataset(str(target / 'index.npz'), pipeline=PIPELINE)
    index = np.load(target / 'index.npz')

    def failures(number):
        return dataset[(0, number)]['data_samples'].failures

    changed = bytearray(whole)
    changed[index['offset'][1] + index['bytes'][1] // 2] ^= 1
    (target / '000000.tar').write_bytes(changed)
    ((path, cause),) = set(failures(1))
    assert path == 'c.mp4'
    assert re.fullmatch(r'.*/000000.tar was changed: the \d+ bytes at \d+ are not .* index', cause)
    assert not failures(0) and not failures(2)

    (target / '000000.tar').write_bytes(whole[: index['offset'][3] + 100])
    cause = dict(failures(3))['a b.mp4']
    assert f'000000.tar is cut: it ends at byte {index["offset"][3] + 100}, and a video' in cause

    (target / '000000.tar').unlink()
    strict = VideoDataset(str(target / 'index.npz'), pipeline=PIPELINE, lazy_init=True)
    with pytest.raises(FileNotFoundError, match='none of the 1 shards of .*index.npz is in'):
        len(strict)
    with pytest.raises(RuntimeError, match='000000.tar cannot be read: No such file'):
        dataset[0]


def test_packing_goes_on_after_a_kill(tmp_path, source, pack, converter, capsys):
    """Whatever moment it is killed at, the next run leaves what an undisturbed one does."""
    for number in range(12):
        shutil.copy(source / 'c.mp4', tmp_path / f'{number}.mp4')
    videos = tmp_path / 'videos'
    videos.mkdir()
    for number in range(12):
        (videos / f'{number:02}.mp4').write_bytes((tmp_path / f'{number}.mp4').read_bytes())
    packing = converter.load('packing')
    arguments = (str(videos), str(tmp_path / 'target'), None, 2, 30_000.0, 60.0)
    packing.pack_folder(str(videos), str(tmp_path / 'undisturbed'), *arguments[2:])
    count = len(list(tmp_path.glob('undisturbed/*.tar')))
    assert count >= 3
    has_begun = lambda: list(tmp_path.glob('target/.*.jsonl'))  # noqa: E731
    kill_when(has_begun, packing.pack_folder, *arguments)
    assert not (tmp_path / 'target' / 'index.npz').exists()
    capsys.readouterr()
    assert packing.pack_folder(*arguments) == 0
    there = int(re.search(r'shards to write, (\d+) are there', capsys.readouterr().out)[1])
    assert 1 <= there < count
    one, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ('undisturbed', 'target')
    )
    assert one == other

    # A shard that was cut since is written again; other videos want another folder.
    shard = tmp_path / 'target' / '000001.tar'
    shard.write_bytes(shard.read_bytes()[:-512])
    assert packing.pack_folder(*arguments) == 0
    assert shard.read_bytes() == one['000001.tar']
    (videos / '13.mp4').write_bytes((videos / '00.mp4').read_bytes())
    (videos / '05.mp4').unlink()
    with pytest.raises(ValueError, match=r'holds 00000\d.tar of other videos: name a new folder'):
        packing.pack_folder(*arguments)


def test_unreadable_videos_are_left_out(tmp_path, source, pack):
    folder = tmp_path / 'source'
    folder.mkdir()
    shutil.copy(source / 'c.mp4', folder / 'c.mp4')
    (folder / 'bad.mp4').write_bytes(b'no video')
    (folder / 'prepared.json').write_text('{"fps": 7.5}')
    assert pack(folder, tmp_path / 'target') == 1
    assert (tmp_path / 'target' / 'failed.txt').read_text().startswith('bad.mp4\tInvalidDataError')
    assert len(VideoDataset(str(tmp_path / 'target' / 'index.npz'))) == 1
    with pytest.raises(ValueError, match='clips ask for 15 frames/s.*were prepared with 7.5'):
        VideoDataset(str(tmp_path / 'target' / 'index.npz'), pipeline=PIPELINE)
    assert pack(folder, tmp_path / 'target') == 1  # again: the same
    (folder / 'c.mp4').unlink()
    with pytest.raises(SystemExit, match='none of 1 videos can be read, the first: bad.mp4'):
        pack(folder, tmp_path / 'other')


def test_the_checker_compares_shards_and_index(tmp_path, source, pack, converter, capsys):
    target, out = tmp_path / 'target', tmp_path / 'bad.txt'
    assert pack(source, target) == 0
    check = (target / 'index.npz', '--out', out, '--workers', 2)
    assert converter.run('check_videos', *check) == 0
    told = capsys.readouterr().out
    assert '0 shards are not as the index says' in told and '0 of 6 videos are' in told

    index = dict(np.load(target / 'index.npz'))
    shard = target / '000000.tar'
    whole = shard.read_bytes()
    changed = bytearray(whole)
    changed[index['offset'][2] + 5] ^= 1
    shard.write_bytes(changed)
    assert converter.run('check_videos', *check) == 1
    (line,) = out.read_text().splitlines()
    assert re.fullmatch(r'd\.avi\t\S+/000000.tar was changed: .*', line)

    shard.write_bytes(whole + bytes(512))
    assert converter.run('check_videos', *check) == 1
    assert re.fullmatch(r'\S+/000000.tar\thas \d+ bytes, and \d+ by the index\n', out.read_text())

    shard.write_bytes(whole)
    index['frames'][1] += 1
    index['offset'][3] += 512
    np.savez(target / 'index.npz', **index)
    assert converter.run('check_videos', *check, '--quick') == 1
    assert '1 shards are not as the index says' in capsys.readouterr().out
    of_shard, of_c, of_e = out.read_text().splitlines()
    assert "'deep/er/e.mp4' should be" in of_shard
    assert of_c.startswith('c.mp4\t') and of_e.startswith('deep/er/e.mp4\t')
    for option in ('--list', '--good-list'):
        with pytest.raises(SystemExit, match='must be left out with an index'):
            converter.run('check_videos', *check, option, source.parent / 'list.txt')


def test_preparing_packs(tmp_path, source, converter):
    listed = source.parent / 'list.txt'
    folders = (source, tmp_path / 'small')
    args = ('--list', listed, '--shards', tmp_path / 'shards', '--workers', 2)
    assert converter.run('prepare_videos', *folders, *args) == 0
    packed = VideoDataset(str(tmp_path / 'shards' / 'index.npz'), pipeline=PIPELINE)
    files = VideoDataset('list.txt', str(tmp_path / 'small'), pipeline=PIPELINE)
    assert packed.data_list.columns['by_table'].all()
    assert [r['label'] for r in packed.data_list] == [2, 0, 1, 2]
    require_same(samples(packed), samples(files))
    with pytest.raises(SystemExit, match='must not lie in each other'):
        converter.run('prepare_videos', *folders, '--shards', tmp_path / 'small' / 'x')
