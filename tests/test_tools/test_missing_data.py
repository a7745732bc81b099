"""A folder, a list or a checkpoint that does not exist is one line, whichever program needs it."""

import logging
import runpy
import sys
from pathlib import Path

import pytest
import torch
from support.tiny_checkpoint import write_tiny_checkpoint

from mmmae_st.models import SpacetimeViT

TOOLS = Path(__file__).parents[2] / 'tools'
CONFIG = """
_base_ = 'mmmae_st::{base}'
train_dataloader = dict(dataset=dict(data_root={root!r}, ann_file={list!r}))
"""


@pytest.fixture
def ending(tmp_path, monkeypatch, capsys):
    """What a program of tools/ says at the end; its exit code must be 1."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr(logging, 'raiseExceptions', False)  # loggers of other tests, long closed

    def run(program, *args):
        monkeypatch.setattr(sys, 'argv', [program, *map(str, args)])
        monkeypatch.syspath_prepend(str((TOOLS / program).parent))
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(TOOLS / program), run_name='__main__')
        printed = capsys.readouterr()
        said = f'{printed.out}{printed.err}'
        assert 'Traceback' not in said, said
        if isinstance(stop.value.code, str):
            said = stop.value.code
            assert '\n' not in said
        else:
            assert stop.value.code == 1
        return said

    return run


@pytest.mark.parametrize('kind', ['folder', 'list'])
def test_training(ending, tmp_path, kind):
    there = str(tmp_path) if kind == 'list' else '/none/here'
    name = 'none.txt' if kind == 'list' else ''
    (tmp_path / 'mine.py').write_text(CONFIG.format(base='smoke.py', root=there, list=name))
    said = ending('train.py', 'mine.py')
    assert "none.txt' is not a file" in said if kind == 'list' else "'/none/here" in said


def test_training_on_a_folder(ending, tmp_path):
    said = ending('train.py', '/none/here')
    assert 'no folder of videos /none/here; config /none/here does not exist' in said
    (tmp_path / 'empty').mkdir()
    assert 'holds 0 files' in ending('train.py', tmp_path / 'empty')


def test_validation(ending, tmp_path, clips):
    (tmp_path / 'train').mkdir()
    for number in range(2):
        (tmp_path / 'train' / f'{number}.mp4').symlink_to(clips['plain'])
    text = CONFIG.format(base='smoke.py', root=str(tmp_path), list='')
    (tmp_path / 'mine.py').write_text(
        text + "val_dataloader = dict(dataset=dict(data_root='/none/here'))\n"
    )
    assert "'/none/here/val' is not a folder" in ending('train.py', 'mine.py')


def test_testing(ending, tiny_config, tmp_path):
    pytest.importorskip('mmaction')
    cfg = tiny_config()
    cfg.test_dataloader.dataset.ann_file = 'none.txt'
    cfg.dump(tmp_path / 'mine.py')
    assert "none.txt' is not a file" in ending('test.py', 'mine.py', 'none.pth')
    assert 'checkpoint none.pth does not exist' in ending(
        'test.py',
        'mine.py',
        'none.pth',
        '--cfg-options',
        'test_dataloader.dataset.ann_file=val.txt',
    )


def test_frozen_evaluation(ending, tmp_path):
    assert 'none.pth does not exist' in ending(
        'frozen_eval.py', 'frozen/vitb_ucf101', 'none.pth', 'knn'
    )
    backbone = dict(arch='tiny', img_size=32, patch_size=16)
    torch.save(SpacetimeViT(**backbone).state_dict(), tmp_path / 'encoder.pth')
    options = [f'backbone.{key}={value}' for key, value in backbone.items()]
    options.append('train_dataloader.dataset.data_root=/none/here')
    said = ending(
        'frozen_eval.py', 'frozen/vitb_ucf101', 'encoder.pth', 'knn', '--cfg-options', *options
    )
    assert "'/none/here" in said


@pytest.fixture
def checkpoint(tmp_path):
    write_tiny_checkpoint(tmp_path / 'tiny.pth')
    return tmp_path / 'tiny.pth'


@pytest.mark.parametrize(
    ('program', 'args'),
    [
        ('extract_features.py', 'CHECKPOINT /none/here'),
        ('extract_features.py', '/none/here.pth CLIPS'),
        ('visualizations/visualize_reconstruction.py', 'CHECKPOINT /none/here.mp4'),
        ('visualizations/visualize_reconstruction.py', '/none/here.pth clip.mp4'),
        ('visualizations/visualize_attention.py', 'CHECKPOINT /none/here.mp4'),
        ('visualizations/visualize_masks.py', '/none/here.mp4'),
        ('visualizations/browse_dataset.py', 'quickstart --cfg-options ROOT'),
        ('dataset_converters/prepare_videos.py', '/none/here out'),
        ('dataset_converters/check_videos.py', '/none/here --out bad.txt'),
        ('dataset_converters/check_videos.py', '. --list /none/here --out bad.txt'),
        ('quickstart.py', '/none/here'),
        ('quickstart.py', '--config /none/here.py'),
        ('model_converters/convert.py', '/none/here.pth out.pth'),
    ],
)
def test_other_programs(ending, checkpoint, clips, program, args):
    words = args.replace('CHECKPOINT', str(checkpoint))
    words = words.replace('CLIPS', str(clips['plain'].parent))
    words = words.replace('ROOT', 'train_dataloader.dataset.data_root=/none/here')
    assert '/none/here' in ending(program, *words.split()).splitlines()[-1]
