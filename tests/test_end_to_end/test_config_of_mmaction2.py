"""The page "In a config of mmaction2 that you have", run with mmaction2's own programs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.recognition import BACKBONE, mmaction_scope

mmaction = pytest.importorskip('mmaction')

ROOT = Path(__file__).parents[2]
MIM = Path(mmaction.__file__).parent / '.mim'
DATA = """
_base_ = [{base!r}]
file_client_args = dict(io_backend='disk')
pipeline = [
    dict(type='PyAVInit', **file_client_args),
    dict(type='SampleFrames', clip_len=8, frame_interval=1, num_clips=1),
    dict(type='PyAVDecode'),
    dict(type='Resize', scale=(32, 32), keep_ratio=False),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
train_dataloader = dict(
    batch_size=4,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='VideoDataset',
        ann_file={folder!r} + '/train.txt',
        data_prefix=dict(video={folder!r} + '/videos_train'),
        pipeline=pipeline,
    ),
)
test_pipeline = pipeline
val_dataloader = dict(
    batch_size=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='VideoDataset',
        ann_file={folder!r} + '/val.txt',
        data_prefix=dict(video={folder!r} + '/videos_val'),
        pipeline=pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(type='AccMetric')
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2, val_begin=1, val_interval=2)
val_cfg, test_cfg = dict(type='ValLoop'), dict(type='TestLoop')
"""


@pytest.mark.slow
def test_page_with_programs_of_mmaction2(labelled, make_clip, run_tool, tmp_path):
    page = (ROOT / 'docs/finetune.md').read_text().split('### In a config of mmaction2')[1]
    code = re.search(r'```python\n(.*?)```', page, re.S)[1]
    text = DATA.format(base=str(MIM / 'configs/_base_/default_runtime.py'), folder=str(labelled))
    text += code + f'model["backbone"].update({BACKBONE!r})\n'
    text += 'del model["backbone"]["init_cfg"]\n'
    text += 'model["cls_head"].update(num_classes=3, in_channels=32)\n'
    (tmp_path / 'mine.py').write_text(text)
    # A Python of its own, which has imported nothing of ours.
    done = subprocess.run(
        [sys.executable, MIM / 'tools/train.py', 'mine.py', '--work-dir', 'runs'],
        cwd=tmp_path,
        env=os.environ | dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1'),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    checkpoint = tmp_path / 'runs/epoch_2.pth'

    results = []
    for name, script in (('theirs', MIM / 'tools/test.py'), ('ours', ROOT / 'tools/test.py')):
        run_tool(script, 'mine.py', checkpoint, '--work-dir', name, folder=tmp_path)
        [log] = tmp_path.glob(f'{name}/*/*.log')
        results.append(re.search(r'acc/top1: ([\d.]+)', log.read_text())[1])
    assert results[0] == results[1]

    from mmaction.apis.inferencers import MMAction2Inferencer

    config, video = str(tmp_path / 'mine.py'), make_clip(tmp_path / 'clip.mp4')
    with mmaction_scope():  # it takes decord: 64 pixels wide
        infer = MMAction2Inferencer(rec=config, rec_weights=str(checkpoint), device='cpu')
        scores = infer(str(video))['predictions'][0]['rec_scores'][0]
    assert sum(scores) == pytest.approx(1, abs=1e-4)
