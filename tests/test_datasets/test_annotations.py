"""Annotation lists and folder scans."""

import os

import pytest
from mmengine.logging import MMLogger

from mmmae_st.datasets.annotations import join_inside, parse_line, read_list, scan_folder
from mmmae_st.datasets.records import RecordList


@pytest.mark.parametrize(
    ('line', 'delimiter', 'expected'),
    [
        ('a.mp4', None, dict(path='a.mp4')),
        ('a.mp4 3', None, dict(path='a.mp4', label=3)),
        ('a.mp4\t12', None, dict(path='a.mp4', label=12)),
        ('a.mp4,0', None, dict(path='a.mp4', label=0)),
        ('a.mp4, 7 ', None, dict(path='a.mp4', label=7)),
        ('my clip, 2.mp4 3', None, dict(path='my clip, 2.mp4', label=3)),
        ('my clip 2.mp4', None, dict(path='my clip 2.mp4')),
        ('dir.mp4 x/clip.mp4', None, dict(path='dir.mp4 x/clip.mp4')),
        ('dir.mp4 x/clip', None, dict(path='dir.mp4 x/clip')),
        ('clip.mp4 take2.mp4', None, dict(path='clip.mp4 take2.mp4')),
        ('#1.mp4 2', None, dict(path='#1.mp4', label=2)),
        ('take 5', '\t', dict(path='take 5')),
        ('take 5\t1', '\t', dict(path='take 5', label=1)),
        ('a b,c.mp4,4', ',', dict(path='a b,c.mp4', label=4)),
        ('a b.mp4 4', ' ', dict(path='a b.mp4', label=4)),
    ],
)
def test_parse_line(line, delimiter, expected):
    assert parse_line(line, delimiter) == expected


def test_parse_line_of_frame_folders():
    assert parse_line('some dir 120 4', None, True) == dict(path='some dir', label=4)
    assert parse_line('dir 4', None, True) == dict(path='dir', label=4)
    assert parse_line('some dir 120 4', ' ', True) == dict(path='some dir', label=4)
    assert parse_line('dir 7,120,4', ',', True) == dict(path='dir 7', label=4)
    assert parse_line('dir,4', ',', True) == dict(path='dir', label=4)


@pytest.mark.parametrize(
    ('text', 'delimiter', 'message'),
    [
        ('a.mp4 1\nb.mp4 -1\n', None, r"line 2: the label is '-1'"),
        ('a.mp4 1\n\nb.mp4\nc.mp4 2\n', None, r'line 3: no label, while 2 lines have one.*b.mp4'),
        ('path label\na.mp4 1\nb.mp4 2\n', None, r"line 1: no label, while 2 .* 'path label'"),
        ('file,class\na.mp4,1\nb.mp4,2\n', ',', r"line 1: the label is 'class'"),
        ('a.mp4\nb.mp4\nc.mp4 3\n', None, r'line 3: a label, while 2 lines have none'),
        ('a.mp4 1\n# the rest\nb.mp4 2\n', None, r'line 2: a comment, which lists do not have'),
        ('# all\na.mp4\n', None, r"line 1: a comment, .* got '# all'"),
        ('a.mp4 0\nx.mp4 0.0\n', None, r'line 2: text that is no label follows.*x.mp4 0.0'),
        ('x.mp4 0.0 1\n', None, r'line 1: text that is no label follows'),
        ('x.mp4 very fast\n', None, r'line 1: text that is no label follows'),
        ('a.mp4 99999999999999999999\n', None, r"line 1: the label is '99999999999999999999'"),
        ('a.mp4 running\n', None, r'line 1: text that is no label follows'),
        ('a.mp4,1.5\n', ',', r"line 1: the label is '1.5'"),
        (',3\n', None, r'line 1: no path'),
        ('\n \n', None, r'names no video'),
        ('', None, r'names no video'),
    ],
)
def test_bad_lists(tmp_path, text, delimiter, message):
    ann_file = tmp_path / 'list.txt'
    ann_file.write_text(text)
    with pytest.raises(ValueError, match=message) as info:
        read_list(str(ann_file), delimiter)
    assert 'list.txt' in str(info.value)


def test_list_must_be_a_text_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="'.*nowhere.txt' is not a file"):
        read_list(str(tmp_path / 'nowhere.txt'))
    with pytest.raises(FileNotFoundError, match='is not a file'):
        read_list(str(tmp_path))
    (tmp_path / 'binary.txt').write_bytes(b'\xff\xfe\x00\x81')
    with pytest.raises(ValueError, match='is not UTF-8 text'):
        read_list(str(tmp_path / 'binary.txt'))


def test_annotations_of_kinetics_are_no_list(tmp_path):
    (tmp_path / 'train.csv').write_text(
        'label,youtube_id,time_start,time_end,split\na,b,1,2,train\n'
    )
    with pytest.raises(ValueError, match='columns of Kinetics.*build_file_list.py kinetics'):
        read_list(str(tmp_path / 'train.csv'))


def test_list_with_bom_and_crlf(tmp_path):
    (tmp_path / 'list.csv').write_bytes('\ufeffa.mp4,1\r\nb.mp4,2\r\n'.encode())
    records = read_list(str(tmp_path / 'list.csv'))
    assert list(records) == [dict(path='a.mp4', label=1), dict(path='b.mp4', label=2)]


def test_scan_folder(tmp_path):
    for name in ('b.mp4', 'a.MKV', 'sub/deep/c.webm', 'notes.txt', '.hidden.mp4'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [r['path'] for r in scan_folder(str(tmp_path))] == ['a.MKV', 'b.mp4', 'sub/deep/c.webm']
    assert list(scan_folder(str(tmp_path), ['.txt'])) == [dict(path='notes.txt')]


def test_scan_frame_folders(tmp_path):
    for name in ('x/img_1.jpg', 'x/img_2.jpg', 'y/z/img_1.jpg', 'y/other.jpg'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    records = scan_folder(str(tmp_path), frame_tmpl='img_{}.jpg')
    assert list(records) == [dict(path='x'), dict(path='y/z')]


def test_folder_without_videos(tmp_path):
    with pytest.raises(ValueError, match='holds 0 files, none with a name that ends in .*mp4'):
        scan_folder(str(tmp_path))
    (tmp_path / 'a.txt').touch()
    with pytest.raises(ValueError, match=r'holds 1 files \(1 .txt\), none'):
        scan_folder(str(tmp_path))
    with pytest.raises(FileNotFoundError, match='is not a folder'):
        scan_folder(str(tmp_path / 'nowhere'))


def test_join_inside():
    assert join_inside('/d', '/d/v', 'a.mp4') == '/d/v/a.mp4'
    assert join_inside('/d', '/d/v', '../w/a.mp4') == '/d/v/../w/a.mp4'
    assert join_inside('', '', '../a.mp4') == '../a.mp4'
    assert join_inside('/d', '/d', '/d/a.mp4') == '/d/a.mp4'
    assert join_inside('/d', '/d', 'a..b.mp4') == '/d/a..b.mp4'
    for path in ('../a.mp4', 'x/../../a.mp4', '/e/a.mp4', '/dd/a.mp4'):
        with pytest.raises(ValueError, match="leaves the data root '/d'"):
            join_inside('/d', '/d', path)


def test_absolute_paths_below_a_relative_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inside = str(tmp_path / 'd' / 'a.mp4')
    assert join_inside('d', 'd', inside) == inside
    with pytest.raises(ValueError, match="path '/e/a.mp4' leaves the data root 'd'"):
        join_inside('d', 'd', '/e/a.mp4')


def test_only_a_line_feed_ends_a_line(tmp_path):
    (tmp_path / 'list.txt').write_text('one\u2028two.mp4 1\nthree\x0b.mp4 2\n', encoding='utf-8')
    records = read_list(str(tmp_path / 'list.txt'))
    assert [record['path'] for record in records] == ['one\u2028two.mp4', 'three\x0b.mp4']


def test_usual_and_unusual_lines_are_read_alike(tmp_path):
    """Whether the pattern for usual lines takes a line, or it is looked at for itself."""
    names = ['a.mp4', 'b c/d, e.MKV', '#1.avi', 'no ending', 'x.mp4 y/z', 'v.mp4.webm', 'ü 7/ß.ts']
    gaps = [' ', '\t', ', ', ',', '  ']
    labels = ['0', '12', '+3', '0007']
    lines = [
        f'{before}{name}{gap}{label}{after}'
        for before in ('', ' ')
        for name in names
        for gap in gaps
        for label in labels
        for after in ('', ' ', '\r')
    ]
    (tmp_path / 'list.txt').write_bytes('\n'.join(lines).encode())
    assert list(read_list(str(tmp_path / 'list.txt'))) == [parse_line(x, None) for x in lines]
    for delimiter in (' ', '\t', ','):
        some = [x for x in lines if x.strip().rpartition(delimiter)[2].strip(' +').isdigit()]
        (tmp_path / 'list.txt').write_bytes('\n'.join(some).encode())
        records = read_list(str(tmp_path / 'list.txt'), delimiter)
        assert list(records) == [parse_line(x, delimiter) for x in some] and len(some) > 50


def test_a_folder_says_what_it_leaves_out(tmp_path, caplog):
    for name in ('a.mp4', 'b.gif', 'c.GIF', 'd.jpg', '.e.mp4', '.trash/f.mp4', 'LICENSE'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        caplog.set_level('INFO')
        assert [r['path'] for r in scan_folder(str(tmp_path))] == ['a.mp4']
    finally:
        logger.removeHandler(caplog.handler)
    told = '1 videos; files left out: 2 .gif, 2 hidden, 1 .jpg, 1 without an ending'
    assert sum(told in message for message in caplog.messages) == 1
    with pytest.raises(ValueError, match=r'holds 3 files \(2 hidden, 1 .mp4\), none'):
        for name in ('b.gif', 'c.GIF', 'd.jpg', 'LICENSE'):
            (tmp_path / name).unlink()
        scan_folder(str(tmp_path), ['.avi'])


def test_records_of_any_names():
    paths = ['a', 'two\nlines', os.fsdecode(b'latin \xe9'), 'ü', '']
    records = RecordList.of_paths(paths)
    assert [r['path'] for r in records] == paths
    assert [r['path'] for r in records[1:3]] == paths[1:3]
    assert [r['path'] for r in records.below('/d')[[3, 0, 3]]] == ['/d/ü', '/d/a', '/d/ü']
