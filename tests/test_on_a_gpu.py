"""All that computes on a GPU, on one that is pretended: nothing is left on the CPU, and who waits.

What a GPU computes and how fast it is tools/analysis_tools/gpu_report.sh tells.
"""

import functools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from support import runs, tiny_ava
from support.pretended_gpu import pretend, pretend_ops
from support.recognition import tiny_frozen_config
from support.smoke_runs import data_root  # noqa: F401
from support.tiny_checkpoint import write_tiny_checkpoint

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow
SMOKE = Config.fromfile(ROOT / 'configs/smoke.py')


@pytest.fixture
def on_gpu(tmp_path):
    """Run a script on the GPU; what it printed, and lines with the waits of the host."""

    def run(script, *args, kind='cuda', before=()):
        log = tmp_path / 'waits.txt'
        log.unlink(missing_ok=True)
        before = [functools.partial(pretend, log, kind), runs.be_quick, *before]
        started = runs.fork(str(script), args, tmp_path / 'output', tmp_path, before=before)
        assert started.wait() == [0], started.output()
        return started.output(), log.read_text().splitlines() if log.exists() else []

    return run


PRETENCE = """
import copy, torch
from torch import nn

x = torch.randn(4, 3).pin_memory().to('cuda')
model = nn.Linear(3, 2, device='cuda')
with torch.autocast('cuda', torch.bfloat16):
    y = model(x)
assert y.dtype is torch.bfloat16 and y.is_cuda and str((y + 1).device) == 'cuda:0'
y.float().sum().backward()
assert model.weight.grad.is_cuda
before = copy.deepcopy(model)
torch.optim.AdamW(model.parameters(), fused=True).step()
assert not torch.equal(before.weight, model.weight)  # waits
for refused in (
    lambda: x + torch.ones(3),
    lambda: torch.cat([x, torch.ones(1, 3)]),
    lambda: nn.functional.linear(x, torch.ones(2, 3)),
    lambda: x.numpy(),
    lambda: torch.save(x, 'x.pth'),
):
    try:
        refused()
    except (RuntimeError, TypeError):
        continue
    raise AssertionError('not refused')
assert x.cpu().numpy().shape == (4, 3)  # waits
assert (x + torch.tensor(2.0)).is_cuda and x[torch.tensor([1])].is_cuda  # the second waits
x.to('cpu', non_blocking=True)
torch.ones(3).pin_memory().to('cuda', non_blocking=True)
torch.ones(3).to('cuda', non_blocking=True)  # waits
float(x[0, 0])  # waits
x[x > 0]  # waits
"""


def test_it_refuses_and_notes_what_a_gpu_does(on_gpu, tmp_path):
    (tmp_path / 'pretence.py').write_text(PRETENCE)
    _, waits = on_gpu(tmp_path / 'pretence.py')
    assert len(waits) == PRETENCE.count('waits')


DECODED_IN_PART = [*SMOKE.train_pipeline]
DECODED_IN_PART.insert(4, dict(type='DecoderMasking', ratio=0.5))


@pytest.fixture
def pretrain(on_gpu, data_root, tmp_path):  # noqa: F811
    """Pretrain with some lines more than the smoke config has; its losses and the waits."""

    def train(extra='', validation=runs.NO_VALIDATION, kind='cuda'):
        config = runs.write_config(tmp_path, data_root, extra, validation)
        work_dir = tmp_path / kind
        waits = []
        if kind != 'cpu':
            _, waits = on_gpu('tools/train.py', config, '--work-dir', work_dir, kind=kind)
        else:
            run = runs.start(config, work_dir)
            assert run.wait() == [0], run.output()
        state = runs.final_state(work_dir, runs.LAST)
        return state['message_hub']['log_scalars']['train/loss']['log'], waits

    return train


def test_pretraining_is_that_of_the_cpu(pretrain):
    expected, _ = pretrain(kind='cpu')
    for kind in ('cuda', 'mps'):
        losses, _ = pretrain(kind=kind)
        assert len(losses) == runs.LAST and losses == pytest.approx(expected, rel=1e-5)


FOLDER = """
train_dataloader['dataset']['pipeline'] = {pipeline!r}
train_dataloader.update(num_workers=1, persistent_workers=True, pin_memory=True)
optim_wrapper = dict(type='BFloat16OptimWrapper')
default_hooks['checkpoint'].update(interval=100)
default_hooks.update(logger=dict(interval=100), explosion=dict(interval=100))
"""


@pytest.mark.parametrize('cut_on_device', [False, True])
def test_no_step_of_pretraining_waits_for_the_gpu(cut_on_device, pretrain):
    """Of an earlier step the losses, which come in a copy of their own, and nothing else."""
    pipeline = [dict(SMOKE.train_pipeline[0], cut_on_device=cut_on_device)]
    pipeline += SMOKE.train_pipeline[1:]
    losses, waits = pretrain(FOLDER.format(pipeline=pipeline))
    of_steps = [wait.split(': ') for wait in waits]
    inside = [(int(step), what, who) for step, what, who in of_steps if int(step) in (4, 5, 6)]
    assert inside  # of 8, in two epochs; before, PaceHook measures
    for step, what, who in inside:
        before = re.fullmatch(r'an event of iteration (\d)', what)
        assert before and int(before[1]) < step, f'iteration {step} waits for {what}: {who}'
    assert np.isfinite(losses).all()


KINDS = dict(
    hog="model = dict(head=dict(target='hog'))",
    dense='model = dict(backbone=dict(with_mask_token=True), decoder=dict(with_mask_token=False))',
    decoder_masking="model = dict(head=dict(frames='all'))\n"
    f"train_dataloader['dataset']['pipeline'] = {DECODED_IN_PART!r}",
)


@pytest.mark.parametrize('device', ['cuda', 'mps'])
@pytest.mark.parametrize('kind', KINDS)
def test_kinds_of_pretraining(kind, device, pretrain):
    """With losses on held-out clips."""
    losses, _ = pretrain(KINDS[kind], runs.VALIDATION, device)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize('device', ['cuda', 'mps'])
def test_monitor_and_resume(device, on_gpu, data_root, tmp_path):  # noqa: F811
    """An epoch, and the next in another process; all of it looked at again afterwards."""
    monitor = dict(type='FeatureMonitorHook', num_videos=8, interval=1, dataset=dict(
        type='VideoDataset', data_root=str(data_root), data_prefix=dict(video='train'),
    ))  # fmt: skip
    extra = f"default_hooks['monitor'] = {monitor!r}"
    config = runs.write_config(tmp_path, data_root, extra, runs.VALIDATION)
    options = ('--work-dir', tmp_path / 'run', '--amp')
    first = ('--cfg-options', 'train_cfg.max_epochs=1')
    on_gpu('tools/train.py', config, *options, *first, kind=device)
    said, _ = on_gpu('tools/train.py', config, *options, '--resume', kind=device)
    assert 'resumed' in said and re.search(r'Epoch 2, features: rank \d+ of 32', said)
    options = ('--dataset', 'data_prefix.video=train')
    said, _ = on_gpu('tools/analysis_tools/monitor.py', tmp_path / 'run', *options)
    assert 'rank' in said


@pytest.mark.parametrize('device', ['cuda', 'mps'])
def test_fine_tuning(device, on_gpu, tiny_config, labelled, tmp_path):
    """Masked at first, with mixup and in bfloat16; the test; an action named."""
    cfg = tiny_config()
    cfg.default_hooks.mask_annealing = dict(type='mmmae_st.MaskAnnealingHook', ratio=0.5)
    cfg.dump(tmp_path / 'finetune.py')
    config, work_dir = tmp_path / 'finetune.py', tmp_path / 'run'
    on_gpu('tools/train.py', config, '--amp', '--work-dir', work_dir, kind=device)
    checkpoint = work_dir / 'epoch_2.pth'
    options = ('--work-dir', tmp_path / 'test')
    said, _ = on_gpu('tools/test.py', config, checkpoint, *options, kind=device)
    assert 'acc/top1' in said
    video = labelled / 'videos_val' / '0.mp4'
    said, _ = on_gpu('demo/inference.py', video, config, checkpoint, kind=device)
    assert len(re.findall(r'\d%', said)) == 3


def test_detection(on_gpu, tmp_path):
    pytest.importorskip('mmcv.ops', exc_type=ImportError)
    pytest.importorskip('mmdet')
    data = tiny_ava.make_tiny_ava(tmp_path / 'data')
    cfg = tiny_ava.tiny_config('mae_st_vitl_ava22.py', data, tmp_path / 'run')
    cfg.dump(tmp_path / 'ava.py')
    said, _ = on_gpu('tools/train.py', tmp_path / 'ava.py', before=[pretend_ops])
    assert 'mAP' in said


def test_frozen_evaluation(on_gpu, labelled, checkpoint, tmp_path):
    tiny_frozen_config(labelled).dump(tmp_path / 'frozen.py')
    kinds = ('knn', 'linear', 'attentive')
    said, _ = on_gpu('tools/frozen_eval.py', tmp_path / 'frozen.py', checkpoint, *kinds)
    assert 'attentive probe' in said


@pytest.fixture
def checkpoint(tmp_path):
    """Of a tiny pretraining."""
    write_tiny_checkpoint(tmp_path / 'tiny.pth')
    return tmp_path / 'tiny.pth'


@pytest.mark.parametrize(
    'command',
    [
        'tools/extract_features.py {} {} --out {}/a.npz --workers 0',
        'tools/extract_features.py {} {} --out {}/maps --stride 8 --spatial --amp',
        'tools/extract_features.py {} {} --out {}/vectors --stride 8 --suffix .npz',
        'tools/analysis_tools/benchmark_step.py configs/smoke.py --amp --reference --runs 1',
        'tools/visualizations/visualize_reconstruction.py {} {}/0.mp4 --out-dir {}/pictures',
        'tools/visualizations/visualize_attention.py {} {}/0.mp4 --out {}/a.png',
    ],
)
def test_a_checkpoint_is_looked_at(command, on_gpu, checkpoint, data_root, tmp_path):  # noqa: F811
    words = command.format(checkpoint, data_root / 'val', tmp_path).split()
    on_gpu(*words)


REPORT = """
import sys
from pathlib import Path

sys.path.insert(0, {tools!r})
from gpu_report import numerics, step
from gpu_report.notes import Notes
from gpu_report.plan import Place
from mmengine.registry import init_default_scope

init_default_scope('mmmae_st')
Place.is_tiny = True
place, notes = Place('cuda', Path(), Path()), Notes(Path('notes.jsonl'))
for task in (numerics.check_numerics, numerics.check_variants, numerics.check_encoder):
    task(place, notes)
step.time_steps(place, notes, size='l', batches=(2,), others=('reference',), dense=True)
"""


def test_the_report_of_a_gpu(on_gpu, tmp_path):
    """What compiles, and what runs elsewhere, excepted."""
    (tmp_path / 'report.py').write_text(REPORT.format(tools=str(ROOT / 'tools/analysis_tools')))
    on_gpu(tmp_path / 'report.py')
    rows = [json.loads(line) for line in (tmp_path / 'notes.jsonl').read_text().splitlines()]
    checks = [row for row in rows if row['table'] == 'checks']
    assert len(checks) > 20 and all(row['ok'] for row in checks)
