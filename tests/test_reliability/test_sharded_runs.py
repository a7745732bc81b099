"""Runs with FSDP, and how they end: two processes on a CPU."""

import os
import re
import signal
from functools import partial

import pytest
import torch
from mmengine.config import Config
from support import runs
from support.runs import fail_on_rank, signal_at

from mmmae_st.models import SpacetimeViT
from mmmae_st.registry import MODELS

pytestmark = pytest.mark.slow

SHARDED = """
runner_type = 'FlexibleRunner'
strategy = dict(
    type='mmmae_st.ShardedStrategy',
    model_wrapper=dict(
        type='MMFullyShardedDataParallel', auto_wrap_policy=dict(type='mmmae_st.wrap_blocks')
    ),
)
optim_wrapper = dict(
    type='ShardedOptimWrapper',
    paramwise_cfg=dict(_delete_=True, norm_decay_mult=0.0, bias_decay_mult=0.0),
)
"""


@pytest.fixture
def sharded(tmp_path, videos):
    return runs.write_config(tmp_path, videos, extra=SHARDED)


def start(config, folder, *options, **kwargs):
    return runs.start(config, folder / 'run', *options, world_size=2, **kwargs)


def poison_loss(iteration: int) -> None:
    """Saboteur: the loss of the second process is not a number, its gradients are."""
    from mmengine.runner import EpochBasedTrainLoop

    from mmmae_st.models import SpatiotemporalMAE

    loss, step, at = SpatiotemporalMAE.loss, EpochBasedTrainLoop.run_iter, [-1]

    def poisoned(self, *args, **kwargs):
        losses = loss(self, *args, **kwargs)
        if at[0] == iteration and os.environ['RANK'] == '1':
            losses['loss'] = losses['loss'] + float('nan')
        return losses

    def run_iter(self, idx, data_batch):
        at[0] = self.iter
        step(self, idx, data_batch)

    SpatiotemporalMAE.loss, EpochBasedTrainLoop.run_iter = poisoned, run_iter


def poison_gradient(iteration: int) -> None:
    """Saboteur: one gradient in the part that the second process holds is not a number."""
    from mmengine.optim import OptimWrapper

    step, count = OptimWrapper.step, [0]

    def poisoned(self, **kwargs):
        if count[0] == iteration and os.environ['RANK'] == '1':
            grads = [p.grad for group in self.optimizer.param_groups for p in group['params']]
            next(g for g in grads if g is not None and g.numel()).view(-1)[0] = float('nan')
        count[0] += 1
        step(self, **kwargs)

    OptimWrapper.step = poisoned


@pytest.mark.parametrize(
    ('saboteur', 'options', 'reason'),
    [
        (poison_loss, (), 'loss is nan'),
        (poison_gradient, (), 'the norm of the gradients is nan'),
        (poison_gradient, ('optim_wrapper.clip_grad=None',), 'the norm of the gradients is nan'),
    ],
)
def test_an_explosion_ends_both_with_its_cause_and_whole_weights(
    sharded, tmp_path, saboteur, options, reason
):
    run = start(sharded, tmp_path, *options, saboteur=partial(saboteur, 2))
    assert run.wait() == [1, 1], run.output()
    assert run.output().count('TrainingExplosionError: iteration 3') == 1
    assert reason in run.output()
    folder = tmp_path / 'run' / 'explosion'
    assert sorted(path.name for path in folder.iterdir()) == [
        'iter_3_rank0.pth', 'iter_3_rank1.pth'
    ]  # fmt: skip
    first, second = (
        torch.load(folder / f'iter_3_rank{rank}.pth', weights_only=True) for rank in (0, 1)
    )
    assert 'state_dict' not in second
    assert first['batch']['samples'] != second['batch']['samples']
    MODELS.build(Config.fromfile(sharded).model).load_state_dict(first['state_dict'])
    checkpoint = torch.load(tmp_path / 'run' / 'iter_2.pth', weights_only=True)
    for name, value in checkpoint['state_dict'].items():
        if saboteur is poison_gradient:  # found before the step
            assert torch.equal(first['state_dict'][name], value), name


@pytest.mark.parametrize('rank', [0, 1])
def test_an_error_in_one_process_ends_both_with_the_cause_once(sharded, tmp_path, rank):
    run = start(sharded, tmp_path, saboteur=partial(fail_on_rank, rank, 2))
    assert run.wait(60) == [1, 1], run.output()
    assert run.output().count('ZeroDivisionError: the cause of it all') == 1
    assert run.output().count('Traceback (most recent call last)') == 1


def test_a_process_that_is_killed_ends_the_other(sharded, tmp_path):
    saboteur = partial(signal_at, signal.SIGKILL, 3, rank=1)
    run = start(sharded, tmp_path, saboteur=saboteur)
    assert run.wait(60) == [1, -signal.SIGKILL]
    assert 'stopped because another process has failed' in run.output()


def fail_to_write(number: int) -> None:
    """Saboteur: no room for a checkpoint."""
    import mmengine.runner.checkpoint as checkpoint

    save, count = checkpoint.save_checkpoint, [0]

    def failing(*args, **kwargs):
        count[0] += 1
        if count[0] == number:
            raise OSError(28, 'No space left on device')
        save(*args, **kwargs)

    checkpoint.save_checkpoint = failing


@pytest.mark.parametrize('on_error', ['stop', 'continue'])
def test_a_checkpoint_that_cannot_be_written(sharded, tmp_path, on_error):
    option = f'default_hooks.checkpoint.on_error={on_error}'
    run = start(sharded, tmp_path, option, saboteur=partial(fail_to_write, 2))
    assert run.wait() == [int(on_error == 'stop')] * 2, run.output()
    assert len(re.findall('cannot write checkpoint .*No space left', run.output())) == 1
    assert not (tmp_path / 'run' / 'iter_2.pth').exists()
    name = 'iter_1.pth' if on_error == 'stop' else 'iter_4.pth'
    assert (tmp_path / 'run' / 'last_checkpoint').read_text().endswith(name)


def test_a_signal_to_one_process_saves_and_stops_both(sharded, tmp_path):
    option = 'default_hooks.checkpoint.interval=50'
    saboteur = partial(signal_at, signal.SIGTERM, 2, rank=1)
    run = start(sharded, tmp_path, option, 'train_cfg.max_epochs=5', saboteur=saboteur)
    assert run.wait() == [143, 143], run.output()
    step = int(re.search(r'stopped after iteration (\d+)', run.output())[1])
    run = start(
        sharded, tmp_path, option, f'train_cfg.max_epochs={step // 4 + 2}',
        arguments=['--resume'],
    )  # fmt: skip
    assert run.wait() == [0, 0], run.output()
    assert f'iter_{step}.pth' in run.output()


def test_a_hook_that_cannot_work_says_so(sharded, tmp_path):
    hook = dict(type='mmmae_st.ReconstructionHook', interval=1)
    text = sharded.read_text() + f'default_hooks.update(reconstruction=dict({hook!r}))\n'
    sharded.write_text(text)
    run = start(sharded, tmp_path)
    assert run.wait() == [1, 1], run.output()
    assert 'leave it out with default_hooks=dict(reconstruction=None)' in run.output()
    assert not runs.samples(tmp_path / 'run')


@pytest.fixture
def recogniser(tiny_config, tmp_path):
    """Fine-tuning, masked at first; the weights spread over the processes where asked for."""
    pytest.importorskip('mmaction')

    def write(shard: bool):
        cfg = tiny_config()
        cfg.default_hooks.mask_annealing = dict(type='mmmae_st.MaskAnnealingHook', ratio=0.5)
        cfg.visualizer.vis_backends = []
        cfg.model.backbone.drop_path_rate = 0.0
        cfg.optim_wrapper.clip_grad = dict(max_norm=5.0)
        if shard:
            cfg.merge_from_dict(
                dict(
                    runner_type='FlexibleRunner',
                    strategy=dict(type='mmmae_st.ShardedStrategy'),
                    optim_wrapper=dict(type='mmmae_st.ShardedOptimWrapper'),
                )
            )
        path = tmp_path / f'{"fsdp" if shard else "ddp"}.py'
        cfg.dump(path)
        return path

    return write


def test_masked_fine_tuning_is_that_of_replicated_weights(recogniser, tmp_path):
    losses = []
    for shard in (False, True):
        folder = tmp_path / str(shard)
        run = start(recogniser(shard), folder)
        assert run.wait(200) == [0, 0], run.output()
        assert 'Epoch 1 removed 50.0% of the patches' in run.output()
        assert 'Epoch 2 removed 25.0% of the patches' in run.output()
        losses.append([float(x) for x in re.findall(r' loss: ([\d.]+)', run.output())])
    assert losses[0] and losses[0] == pytest.approx(losses[1], abs=2e-4)


@pytest.mark.parametrize('frames', [8, 16])
def test_weights_to_start_from_must_fill_the_encoder(recogniser, tmp_path, frames):
    config = recogniser(True)
    backbone = Config.fromfile(config).model.backbone
    arguments = dict(backbone, num_frames=frames)
    state = SpacetimeViT(**{k: v for k, v in arguments.items() if k != 'type'}).state_dict()
    torch.save(dict(state_dict={f'backbone.{k}': v for k, v in state.items()}), tmp_path / 'w.pth')
    run = start(config, tmp_path, f'load_from={tmp_path / "w.pth"}', 'train_cfg.max_epochs=1')
    codes = run.wait(200)
    if frames == 8:
        assert codes == [0, 0], run.output()
    else:
        assert codes == [1, 1], run.output()
        text = 'load_from would leave 1 of '
        assert run.output().count(text) == 1, run.output()
