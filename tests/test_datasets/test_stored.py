"""Videos that stand in another file: the same frames, and no packet read to number them."""

import zlib

import av
import numpy as np
import pytest

from mmmae_st.datasets.readers import PyAVReader, VideoReadError, open_video, pyav_reader, stored
from mmmae_st.datasets.readers.pyav_reader import contents_of
from mmmae_st.datasets.readers.stored import Contents, StoredVideo

# Of the clips of the tests: those whose container has a table of all frames by the times at which
# they are shown.
BY_TABLE = {
    *('plain', 'intra_refresh', 'short', 'one_frame', 'odd', 'fps15', 'rotated', 'mpeg4', 'av1'),
}


@pytest.fixture
def store(tmp_path):
    """Put a file into the midst of another."""

    def put(path):
        data = path.read_bytes()
        (tmp_path / 'x.tar').write_bytes(b'before' + data + b'after')
        crc = zlib.crc32(data)
        return StoredVideo(str(tmp_path / 'x.tar'), 6, len(data), crc, *contents_of(str(path)))

    return put


def everything(reader):
    """Frame rate, times and all frames of a reader."""
    frames = reader.read(range(reader.num_frames))
    return reader.fps, reader.times, np.stack([frames[i] for i in range(reader.num_frames)])


def test_frames_are_those_of_full_decoding(clips, store):
    by_table = set()
    for kind, path in clips.items():
        place = store(path)
        with av.open(str(path)) as container:
            full = [
                np.rot90(frame.to_ndarray(format='rgb24'), frame.rotation // 90)
                for frame in container.decode(video=0)
            ]
        with open_video('any name', stored=place) as reader, open_video(str(path)) as plain:
            assert reader.fps == plain.fps
            np.testing.assert_array_equal(reader.times, plain.times, kind)
            for index in np.random.default_rng(0).permutation(len(full)).tolist():
                np.testing.assert_array_equal(reader.read([index])[index], full[index], kind)
        if place.by_table:
            by_table.add(kind)
        assert place.contents[:2] == (len(full), plain.fps)
    assert by_table == BY_TABLE


def test_decord_reads_stored_videos(clips, store):
    pytest.importorskip('decord')
    with open_video('a', 'decord', stored=store(clips['plain'])) as reader:
        assert reader.num_frames == 40 and reader.read([39])[39].shape == (48, 64, 3)


def test_no_packet_is_read_to_open(clips, store, monkeypatch):
    def refuse(packets):
        raise AssertionError('packets are read')

    place = store(clips['plain'])
    monkeypatch.setattr(pyav_reader, 'packet_times', refuse)
    with open_video('a', stored=place) as reader:
        assert reader.num_frames == 40
    with pytest.raises(VideoReadError, match='packets are read'):
        open_video('a', stored=place._replace(by_table=False))


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        (dict(frames=41), '40 frames, 4 of them keyframes, in the file, 41 and 4 in the index'),
        (dict(key_frames=(0, 12, 24)), '40 frames, 4 of them keyframes, in the file, 40 and 3'),
        (dict(key_frames=(0, 12, 24, 37)), 'file and index differ'),
    ],
)
def test_an_index_of_another_file_is_refused(clips, store, change, told):
    place = store(clips['plain'])
    place = place._replace(contents=place.contents._replace(**change))
    with pytest.raises(VideoReadError, match=f'file and index differ.*|{told}') as error:
        open_video('a', stored=place)
    assert told in str(error.value)


def test_large_videos_are_read_in_pieces(tmp_path, make_clip, store, monkeypatch):
    place = store(make_clip(tmp_path / 'large.mp4', width=320, height=240, b_frames=2))
    with open_video('a', stored=place) as reader:
        expected = everything(reader)
    monkeypatch.setattr(stored, 'READ_WHOLE', 1000)
    monkeypatch.setattr(stored, 'PIECE', 512)
    reads = []
    read_range = stored.read_range
    monkeypatch.setattr(stored, 'read_range', lambda *args: reads.append(args) or read_range(*args))
    with open_video('a', stored=place) as reader:
        found = everything(reader)
    assert found[0] == expected[0]
    np.testing.assert_array_equal(found[2], expected[2])
    assert len(reads) > 10 and max(size for _, _, size, _ in reads) < place.size / 5
    begin, end = place.offset, place.offset + place.size
    assert all(begin <= offset and offset + size <= end for _, offset, size, _ in reads)
    with open(place.file, 'r+b') as file:
        file.truncate(place.offset + place.size - 700)
    with pytest.raises(VideoReadError, match=r'x.tar is cut: it ends at byte'):
        open_video('a', stored=place)


def test_contents_of_a_file_without_times(clips):
    contents, by_table = contents_of(str(clips['avi_reordered']))
    assert not by_table and contents.frames == 40
    with PyAVReader(str(clips['plain'])) as reader:
        assert reader.num_frames == 40
    assert contents_of(str(clips['plain'])) == (Contents(40, 30.0, (0, 12, 24, 36)), True)
