"""Lists of videos: tools/dataset_converters/build_file_list.py."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmmae_st.datasets.annotations import read_list

TOOLS = Path(__file__).parents[2] / 'tools' / 'dataset_converters'


def build(converter, *args):
    """0, or 1 with the cause on the standard error, as the program ends."""
    try:
        converter.run('build_file_list', *args)
    except SystemExit as stop:
        print(stop.code, file=sys.stderr)
        return 1
    return 0


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_list_of_class_folders(tmp_path, converter):
    train, val, out = tmp_path / 'train', tmp_path / 'val', tmp_path / 'lists'
    touch(train, 'arm wrestling/b 2.mp4', 'arm wrestling/a.webm', 'zumba/x/c.avi', 'zumba/note.txt')
    touch(val, 'zumba/d.mp4')
    classes = out / 'classes.txt'
    assert build(converter, 'folder', train, '--out', out / 'train.txt', '--classes', classes) == 0
    assert build(converter, 'folder', val, '--out', out / 'val.txt', '--classes', classes) == 0
    assert classes.read_text() == 'arm wrestling\nzumba\n'
    assert list(read_list(str(out / 'train.txt'))) == [
        dict(path='arm wrestling/a.webm', label=0),
        dict(path='arm wrestling/b 2.mp4', label=0),
        dict(path='zumba/x/c.avi', label=1),
    ]
    assert list(read_list(str(out / 'val.txt'))) == [dict(path='zumba/d.mp4', label=1)]


def test_list_refuses_unknown_class_and_missing_class_file_argument(tmp_path, converter, capsys):
    touch(tmp_path / 'v', 'swim/a.mp4')
    classes = tmp_path / 'classes.txt'
    classes.write_text('run\nwalk\n')
    out = tmp_path / 'list.txt'
    assert build(converter, 'folder', tmp_path / 'v', '--out', out, '--classes', classes) == 1
    assert '1 classes are not in' in (error := capsys.readouterr().err) and "'swim'" in error
    assert build(converter, 'folder', tmp_path / 'v', '--out', out) == 1
    assert '--classes is needed' in capsys.readouterr().err
    assert not out.exists()


def test_plain_list(tmp_path, converter):
    touch(tmp_path / 'v', 'a/b.mp4', 'c 3.mkv')
    out = tmp_path / 'list.txt'
    assert build(converter, 'plain', tmp_path / 'v', '--out', out) == 0
    assert list(read_list(str(out))) == [dict(path='a/b.mp4'), dict(path='c 3.mkv')]


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
def test_kinetics(tmp_path, converter, form):
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
    assert build(converter, *args, '--separator', 'tab') == 0
    assert out.read_text() == (
        'ab_C-defghij_000003_000013.mp4\t1\narm_wrestling/-0123456789.webm\t0\n'
    )
    assert (tmp_path / 'train.txt.missing.txt').read_text() == 'gone_000000_000010\n'
    assert (tmp_path / 'classes.txt').read_text() == 'arm wrestling\nzumba\n'


def test_kinetics_test_set_without_labels(tmp_path, converter):
    annotations = tmp_path / 'test.csv'
    annotations.write_text('youtube_id,time_start,time_end,split\nabc,0,10,test\n')
    touch(tmp_path / 'v', 'abc_000000_000010.mp4')
    out = tmp_path / 'list.txt'
    assert build(converter, 'kinetics', annotations, tmp_path / 'v', '--out', out) == 0
    assert out.read_text() == 'abc_000000_000010.mp4\n'


def test_ambiguous_name_is_an_error(tmp_path, converter, capsys):
    annotations = tmp_path / 'train.csv'
    annotations.write_text('label,youtube_id,time_start,time_end\nzumba,abc,0,10\n')
    args = ('kinetics', annotations, tmp_path / 'v', '--out', tmp_path / 'l', '--classes')
    touch(tmp_path / 'v', 'zumba/abc.mp4', 'dance/abc.mp4')
    assert build(converter, *args, tmp_path / 'c') == 0
    assert (tmp_path / 'l').read_text() == 'zumba/abc.mp4 0\n'  # the class folder decides
    touch(tmp_path / 'v', 'zumba/abc.webm')
    assert build(converter, *args, tmp_path / 'c') == 1
    assert "video 'abc' is there 2 times" in capsys.readouterr().err


def test_ssv2(tmp_path, converter):
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
        assert build(converter, *args, *extra) == 0
    assert (tmp_path / 'train').read_text() == '78687.webm 1\n42326.mp4 0\n'
    assert (tmp_path / 'test').read_text() == '1420.webm 1\n'
    assert (tmp_path / 'classes.txt').read_text() == 'Holding something\nMoving something up\n'


def test_ucf101(tmp_path, converter):
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
        assert build(converter, *args) == 0
    assert (tmp_path / 'trainlist01').read_text() == (
        'Archery/v_Archery_g08_c01.mp4 1\nYoYo/v_YoYo_g08_c01.avi 0\n'
    )
    assert (tmp_path / 'testlist01').read_text() == 'YoYo/v_YoYo_g01_c02.avi 0\n'


def test_hmdb51(tmp_path, converter):
    splits = tmp_path / 'splits'
    splits.mkdir()
    (splits / 'wave_test_split1.txt').write_text('a#1.avi 1 \nb.avi 2 \nc.avi 0 \n')
    (splits / 'ride_bike_test_split1.txt').write_text('d.avi 1 \na#1.avi 2 \n')
    (splits / 'wave_test_split2.txt').write_text('a#1.avi 2\n')
    touch(tmp_path / 'v', 'wave/a#1.avi', 'wave/b.avi', 'ride_bike/d.avi', 'ride_bike/a#1.avi')
    for subset in ('train', 'test'):
        args = ('hmdb51', splits, tmp_path / 'v', '--split', 1, '--subset', subset)
        assert build(converter, *args, '--out', tmp_path / subset, '--classes', tmp_path / 'c') == 0
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
def test_malformed_annotations_are_named(tmp_path, converter, capsys, name, text, message):
    (tmp_path / name).write_text(text)
    touch(tmp_path / 'v', 'a.mp4')
    out = tmp_path / 'list.txt'
    assert build(converter, 'kinetics', tmp_path / name, tmp_path / 'v', '--out', out) == 1
    assert message in capsys.readouterr().err
    assert not out.exists()


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
