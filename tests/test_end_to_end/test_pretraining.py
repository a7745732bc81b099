"""Pretraining from video files to a checkpoint, through the command line as users run it."""

import os
import re
import subprocess
import sys

import pytest
import torch
from support.runs import free_port
from support.smoke_runs import ROOT, call_train, files, scalars, start, train

pytestmark = pytest.mark.slow


def test_one_process_writes_checkpoint_logs_and_pictures(data_root, tmp_path):
    result = call_train('--amp', data_root=data_root, work_dir=tmp_path)
    assert result.returncode == 0, result.stderr
    rows = scalars(tmp_path)
    assert len(rows) == 8  # 9 videos in batches of 2, the odd one dropped, twice
    assert all({'loss', 'lr', 'data_time', 'time', 'effective_epoch'} <= set(r) for r in rows)
    assert rows[-1]['effective_epoch'] == pytest.approx(2 * 2 * 8 / 9, abs=1e-4)
    assert 'One update takes 2 videos' in result.stderr + result.stdout
    assert list(tmp_path.glob('*/vis_data/events.out.tfevents*'))
    assert list(tmp_path.glob('*/vis_data/vis_image/*reconstruction*.png'))
    checkpoint = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)
    assert all(v.dtype is torch.float32 for v in checkpoint['state_dict'].values())
    assert 'held_out/loss' in result.stderr + result.stdout


@pytest.fixture(scope='module')
def two_nodes(data_root, tmp_path_factory):
    """Work directory of tools/dist_train.sh on two nodes of one process each, on one machine."""
    work_dir = tmp_path_factory.mktemp('two_nodes')
    command = [ROOT / 'tools/dist_train.sh', ROOT / 'configs/smoke.py', '1']
    env = {
        **os.environ,
        'PYTHON': sys.executable,
        'CUDA_VISIBLE_DEVICES': '',
        'OMP_NUM_THREADS': '1',
        'NNODES': '2',
        'MASTER_ADDR': '127.0.0.1',
        'PORT': free_port(),
    }
    nodes = [
        subprocess.Popen(
            [*command, '--work-dir', work_dir, '--cfg-options', *files(data_root)],
            cwd=data_root,
            env={**env, 'NODE_RANK': str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [node.communicate(timeout=300)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], outputs
    assert 'x 2 processes' in outputs[0]
    return work_dir


def test_two_nodes_of_one_process_meet_on_the_loopback_address(two_nodes):
    assert (two_nodes / 'epoch_2.pth').exists()


def test_two_processes_then_resume_equals_one_long_run(two_nodes, data_root, tmp_path):
    options = dict(data_root=data_root, work_dir=tmp_path, world_size=2)
    # Stopped after the first of the two epochs, the schedule being that of two.
    assert 'x 2 processes' in train('train_cfg.max_epochs=1', **options)
    assert 'resumed epoch: 1' in train('--resume', **options)
    a = torch.load(two_nodes / 'epoch_2.pth', weights_only=True)['state_dict']
    b = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)['state_dict']
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    'option',
    [
        'compile.backend=aot_eager',  # all but the code that PyTorch writes for the graph
        pytest.param('compile=True', marks=pytest.mark.long),
    ],
)
def test_compiled_model_gives_the_same_losses(data_root, tmp_path, option):
    losses = []
    for name, options in (('eager', []), ('compiled', [option])):
        said = train(
            'train_cfg.max_epochs=1', *options, data_root=data_root, work_dir=tmp_path / name
        )
        assert ('Model has been "compiled"' in said) == bool(options)
        losses.append([row['loss'] for row in scalars(tmp_path / name)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('train_dataloader.dataset.ann_file=no_such.txt', 'no_such.txt'),
        ('train_dataloader.dataset.data_prefix.video=nothing_here', 'nothing_here'),
        ('model.backbone.drop_path=0.1', 'drop_path'),
        ('model.backbone.img_size=30', '30x30'),
        ('train_dataloader.dataset.pipeline.3.ratio=1.5', '1.5'),
        ('train_dataloader.dataset.pipeline.3.ratio=0.0', '0.0'),
        ('train_dataloader.dataset.pipeline.0.num_clips=0', 'num_clips'),
        ('train_dataloader.batch_size=10', 'an epoch has no step: 9 videos'),
    ],
)
def test_bad_input_stops_with_its_name(option, message, data_root, tmp_path):
    run = start(option, data_root=data_root, work_dir=tmp_path)
    assert run.wait() == [1], run.output()
    said = run.output()
    errors = re.findall(r'^(?:\w+Error|train.py: error): .*(?:\n .*)*', said, re.MULTILINE)
    assert errors and message in errors[-1], said[-6000:]
