"""Boxes in one's own video files: frames of the right second, a run, and what is refused."""

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from mmengine.runner import Runner
from support.tiny_ava import ACTIONS, BOXES, HEIGHT, WIDTH, write_video

from mmmae_st.config import check_config
from mmmae_st.datasets.readers import open_video
from mmmae_st.datasets.transforms import LoadBoxClip
from mmmae_st.engine import prepare_runtime

pytest.importorskip('mmcv.ops', exc_type=ImportError)
pytest.importorskip('mmdet')

ROOT = Path(__file__).parents[2]
LABELS = dict(enumerate(ACTIONS, 1))  # label: action of the tiny set
SECONDS = 3


def relative(box):
    return np.divide(box, (WIDTH, HEIGHT, WIDTH, HEIGHT)).round(4)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Videos of 25 and 50 frames a second, lists and the label map."""
    root = tmp_path_factory.mktemp('boxes')
    (root / 'videos').mkdir()
    pairs = [(1, 2), (2, 3), (3, 1), (2, 1), (3, 2), (1, 3)]
    for subset, count in (('train', 6), ('val', 3)):
        rows = []
        for number, labels in enumerate(pairs[:count]):
            video = f'{subset}_{number}.mp4'
            actions = [LABELS[label] for label in labels]
            write_video(root / 'videos' / video, actions, number, 25 + 25 * (number % 2), SECONDS)
            rows += [
                [video, second, *relative(box), label, person]
                for second in range(SECONDS)
                for person, (box, label) in enumerate(zip(BOXES, labels, strict=True))
            ]
        with open(root / f'{subset}.csv', 'w', newline='') as file:
            csv.writer(file).writerows(rows)
    (root / 'labels.pbtxt').write_text(
        ''.join(f'item {{\n  name: "action {n}"\n  id: {n}\n}}\n' for n in LABELS)
    )
    return root


def tiny_config(root, work_dir):
    """The config of the page, with a tiny model and small frames."""
    page = (ROOT / 'docs' / 'own_boxes.md').read_text()
    code = re.search('^```python\n(.*?)^```', page, re.MULTILINE | re.DOTALL)[1]
    code = code.replace('/path/to/boxes', str(root)).replace('num_classes = 3', 'num_classes = 4')
    cfg = Config.fromstring(code, '.py')
    check_config(cfg)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False, pin_memory=False)
        for step in loader.dataset.pipeline:
            sizes = dict(
                RandomRescale=dict(scale_range=(64, 80)),
                RandomCrop=dict(size=64),
                Resize=dict(scale=(-1, 64)),
            )
            step.update(sizes.get(step.type, {}))
    arch = dict(embed_dims=32, depth=2, num_heads=2)
    cfg.model.backbone.update(arch=arch, img_size=64, init_cfg=None, drop_path_rate=0.0)
    cfg.model.roi_head.bbox_head.in_channels = 32
    cfg.train_dataloader.batch_size = 6
    cfg.optim_wrapper.optimizer.lr = 2e-3
    cfg.train_cfg.update(max_epochs=10, val_interval=10)
    cfg.param_scheduler = []
    cfg.default_hooks.checkpoint.interval = 10
    cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]
    cfg.work_dir = str(work_dir)
    return cfg


def test_a_run_learns_the_actions(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = tiny_config(root, tmp_path / 'run')
    prepare_runtime(cfg)
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.message_hub.get_scalar('val/mAP/overall').current() > 0.9


@pytest.mark.parametrize(('video', 'fps'), [('train_0.mp4', 25), ('train_1.mp4', 50)])
@pytest.mark.parametrize('second', [0, 1, 2])
def test_frames_are_those_around_the_second(root, video, fps, second):
    """At any frame rate: the middle frame begins the second, a step lasts 4 / 30 s."""
    path = root / 'videos' / video
    given = dict(
        filename=str(path), timestamp=second, gt_bboxes=[[0, 0, 0.5, 1]], proposals=[[0, 0, 1, 1]]
    )
    results = LoadBoxClip(clip_len=4, frame_interval=4).transform(given)
    times = second + np.arange(-2, 2) * 4 / 30
    expected = np.floor(times * fps + 1e-6).clip(0, SECONDS * fps - 1)
    assert results['frame_inds'].tolist() == expected.tolist()
    assert expected[2] == second * fps
    with open_video(str(path)) as reader:
        frames = reader.read(results['frame_inds'].tolist())
    for image, index in zip(results['imgs'], results['frame_inds'].tolist(), strict=True):
        np.testing.assert_array_equal(image, frames[index])
    assert len({id(image) for image in results['imgs']}) == 4
    np.testing.assert_allclose(results['gt_bboxes'], [[0, 0, WIDTH / 2, HEIGHT]])


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('mp4,2,', 'mp4,3,', r'second 3 is not in val_0.mp4, which lasts 3.00 s'),
        ('mp4,2,', 'mp4,902,', 'second 902 is not in'),
        ('mp4,2,', 'mp4,-1,', 'second -1 is not in'),
        ('mp4,2,', 'mp4,1.5,', 'expected "video,second,x1,y1'),
        ('0.0465', '4', 'a box must be 0 <= x1'),
        ('val_0.mp4,2', 'nowhere.mp4,2', 'cannot read nowhere.mp4'),
        (',1,0\n', ',4,0\n', r'the label must be one of \[1, 2, 3\] of .*labels.pbtxt, got 4'),
        (',1,0\n', ',0,0\n', 'the label must be .* got 0'),
    ],
)
def test_a_wrong_line_is_named(root, tmp_path, old, new, message):
    lines = (root / 'val.csv').read_text().replace('\r', '').splitlines(keepends=True)
    number = next(i for i, line in enumerate(lines, 1) if old in line)
    lines[number - 1] = lines[number - 1].replace(old, new)
    (tmp_path / 'val.csv').write_text(''.join(lines))
    with pytest.raises(ValueError, match=rf'val.csv, line {number}: {message}'):
        build(root, ann_file=str(tmp_path / 'val.csv'))


def build(root, **changes):
    cfg = tiny_config(root, '')
    cfg.val_dataloader.dataset.update(changes)
    with DefaultScope.overwrite_default_scope('mmaction'):
        return DATASETS.build(cfg.val_dataloader.dataset)


def test_labels_that_do_not_fit_the_classes_are_refused(root):
    with pytest.raises(ValueError, match=r'labels \[1, 2, 3\]; num_classes=3 takes 1 to 2'):
        build(root, num_classes=3)


def test_a_list_that_is_not_there_is_named(root):
    with pytest.raises(FileNotFoundError, match='ann_file nowhere.csv is not a file'):
        build(root, ann_file='nowhere.csv')


def test_annotated_boxes_serve_without_proposals(root):
    sample = build(root)[0]
    torch.testing.assert_close(
        sample['data_samples'].proposals.bboxes, sample['data_samples'].gt_instances.bboxes
    )


def test_ava_refuses_seconds_that_are_not_in_its_videos(root, tmp_path):
    """Such a list used to give the first frame again and again, in silence."""
    shutil.copy(root / 'val.csv', tmp_path)
    dataset = dict(type='AVADataset', ann_file=str(tmp_path / 'val.csv'), pipeline=[])
    build(root)  # imports the mends
    message = 'second 0 of val_0.mp4 is not within timestamp_start=900 and timestamp_end=1800'
    with pytest.raises(ValueError, match=message):
        DATASETS.build(dataset | dict(_scope_='mmaction'))
    with pytest.raises(ValueError, match='timestamp_start=0 and timestamp_end=1'):
        DATASETS.build(dataset | dict(_scope_='mmaction', timestamp_start=0, timestamp_end=1))
