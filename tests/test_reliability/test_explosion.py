import math
import os
import warnings
from functools import partial

import pytest
import torch
from mmengine.config import Config
from support import runs
from support.scripted import make_runner

from mmmae_st.engine.hooks import explosion
from mmmae_st.engine.hooks.explosion import MAX_SKIPPED, ExplosionHook, TrainingExplosionError
from mmmae_st.registry import MODELS


def run(folder, losses, iters=40, **args):
    hook = dict(type='ExplosionHook', **args.pop('hook', dict(interval=1)))
    hooks = dict(checkpoint=None, explosion=hook)
    runner = make_runner(folder, losses, iters=iters, hooks=hooks, **args)
    runner.train()
    return runner


def test_loss_above_twice_the_mean_of_the_five_before_stops(tmp_path):
    losses = [5.0, 4.0, 3.0, 3.0, 3.0, 2.0, 6.1]  # 2 * mean(4, 3, 3, 3, 2) = 6.0
    with pytest.raises(TrainingExplosionError, match=r'iteration 7 .* 6\.1, above 2 times .* 3 of'):
        run(tmp_path, lambda step: losses[step])


def test_loss_at_the_limit_or_with_too_few_before_goes_on(tmp_path):
    losses = [1.0, 9.0, 3.0, 3.0, 3.0, 3.0, 8.4]
    run(tmp_path, lambda step: losses[step], iters=7)


def test_logged_losses_are_means_over_the_interval(tmp_path):
    # pairs: 1 1 1 1 1, then (1.5, 2.4) -> 1.95 and (1.6, 2.5) -> 2.05 against 2 * 1.19
    pairs = [1.0] * 10 + [1.5, 2.4, 1.6, 2.5]
    run(tmp_path / 'below', lambda step: pairs[step], iters=14, hook=dict(interval=2))
    jump = [1.0] * 10 + [0.1, 3.95]
    with pytest.raises(TrainingExplosionError, match=r'iteration 12 .* 2\.025'):
        run(tmp_path / 'above', lambda step: jump[step], iters=12, hook=dict(interval=2))


@pytest.mark.parametrize('bad', [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_before_the_weights_are_touched(tmp_path, bad):
    hooks = dict(checkpoint=None, explosion=dict(type='ExplosionHook'))
    runner = make_runner(
        tmp_path, lambda step: bad if step == 3 else 1.0, hooks=hooks,
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
    )  # fmt: skip
    with pytest.raises(TrainingExplosionError, match='iteration 4'):
        runner.train()
    assert float(runner.model.weight.detach()) == pytest.approx(0.7)


def test_a_gradient_that_is_not_finite_stops(tmp_path):
    for clip in (None, dict(max_norm=1.0)):
        wrapper = dict(optimizer=dict(type='SGD', lr=0.1), clip_grad=clip)
        hooks = dict(checkpoint=None, explosion=dict(type='ExplosionHook'))
        runner = make_runner(tmp_path, hooks=hooks, optim_wrapper=wrapper)
        runner.model.weight.register_hook(lambda gradient: gradient * math.inf)
        with pytest.raises(TrainingExplosionError, match='norm of the gradients is inf'):
            runner.train()
        assert float(runner.model.weight.detach()) == 1.0


def test_state_file_tells_the_batch_and_loads_safely(tmp_path):
    with pytest.raises(TrainingExplosionError) as error:
        run(tmp_path, lambda step: math.nan if step == 6 else 1.0 - step / 100)
    path = tmp_path / 'explosion' / 'iter_7_rank0.pth'
    assert str(path) in str(error.value)
    state = torch.load(path, weights_only=True)
    assert state['iter'] == 7 and state['epoch'] == 0 and state['seed'] == 0
    assert state['last_losses'] == pytest.approx([1.0, 0.99, 0.98, 0.97, 0.96, 0.95])
    [sample] = state['batch']['samples']
    assert float(state['batch']['inputs'][0]) == sample['index']
    assert sample['path'] == f'{sample["index"]}.mp4'
    assert state['weights_are'] == 'before the step' and 'weight' in state['state_dict']


def test_no_checkpoint_is_deleted(tmp_path):
    hooks = dict(
        checkpoint=dict(type='SafeCheckpointHook', by_epoch=False, max_keep_ckpts=2),
        explosion=dict(type='ExplosionHook'),
    )
    runner = make_runner(tmp_path, lambda step: math.nan if step == 5 else 1.0, hooks=hooks)
    with pytest.raises(TrainingExplosionError, match=r'the last one is .*iter_5\.pth'):
        runner.train()
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == ['iter_4.pth', 'iter_5.pth']


class TestGradientScaler:
    """mmengine's wrapper of float16 training, with the scaler of the CPU."""

    def runner(self, folder, monkeypatch, losses, iters, fused):
        from mmengine.optim.optimizer import amp_optimizer_wrapper as amp

        monkeypatch.setattr(amp, 'is_cuda_available', lambda: True)
        wrapper = dict(type='AmpOptimWrapper', optimizer=dict(type='SGD', lr=1e-38, fused=fused))
        hooks = dict(checkpoint=None, explosion=dict(type='ExplosionHook', interval=1))
        runner = make_runner(folder, losses, iters=iters, hooks=hooks, optim_wrapper=wrapper)
        before_train = runner.hooks[0].before_train

        def with_scaler(runner):
            runner.optim_wrapper.loss_scaler = torch.amp.GradScaler('cpu', init_scale=2.0**16)
            before_train(runner)

        runner.hooks[0].before_train = with_scaler
        return runner

    @pytest.mark.parametrize('fused', [False, True])
    def test_skipped_steps_are_no_explosion(self, tmp_path, monkeypatch, fused):
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            runner = self.runner(tmp_path, monkeypatch, lambda step: 1e36, 20, fused)
            runner.train()
        scale = runner.optim_wrapper.loss_scaler.get_scale()
        assert scale < 1e3  # it has skipped steps, and found a scale
        assert float(runner.model.weight.detach()) != 1.0

    def test_skipping_for_ever_is(self, tmp_path, monkeypatch):
        runner = self.runner(tmp_path, monkeypatch, lambda step: 1.0, 60, False)
        runner.model.weight.register_hook(lambda gradient: gradient * math.inf)
        with (
            warnings.catch_warnings(),
            pytest.raises(TrainingExplosionError, match=f'iteration {MAX_SKIPPED} '),
        ):
            warnings.simplefilter('ignore')
            runner.train()


class TestLate:
    """The host is told a step later, as on a GPU, where nothing waits for a step."""

    @pytest.fixture(autouse=True)
    def on_gpu(self, monkeypatch):
        monkeypatch.setattr(explosion, 'is_on_gpu', lambda model: True)

    def runner(self, folder, losses=lambda step: 1.0 + step, iters=10, lr=0.1, **hooks):
        optimizer = dict(type='AdamW', lr=lr, fused=True)
        hooks = dict(
            runtime_info=dict(type='LateInfoHook'), explosion=dict(type='ExplosionHook'), **hooks
        )
        wrapper = dict(
            type='BFloat16OptimWrapper', optimizer=optimizer, clip_grad=dict(max_norm=1.0)
        )
        return make_runner(folder, losses, iters=iters, hooks=hooks, optim_wrapper=wrapper)

    def test_weights_stay_as_before_the_step_and_the_run_stops(self, tmp_path):
        fine = self.runner(tmp_path / 'fine', iters=3, checkpoint=None)
        fine.train()
        runner = self.runner(
            tmp_path, lambda step: math.inf if step == 3 else 1.0 + step, checkpoint=None
        )
        with pytest.raises(TrainingExplosionError, match='iteration 4 .*gradients is (nan|inf)'):
            runner.train()
        assert runner.iter == 4  # the fifth step has been made, and has left the weights alone
        assert torch.equal(runner.model.weight, fine.model.weight)
        state = torch.load(tmp_path / 'explosion' / 'iter_4_rank0.pth', weights_only=True)
        assert state['iter'] == 4 and state['weights_are'] == 'before the step'
        assert state['last_losses'] == pytest.approx(history(fine, 'loss'))
        assert torch.equal(state['state_dict']['weight'], fine.model.weight)
        order = [index for index, *_ in batches(runner)]
        assert [sample['index'] for sample in state['batch']['samples']] == order[3:4]

    def test_a_loss_that_is_not_finite_stops_too(self, tmp_path):
        runner = self.runner(tmp_path, checkpoint=None)
        forward = type(runner.model).forward

        def poisoned(model, *args, **kwargs):
            output = forward(model, *args, **kwargs)
            return dict(loss=output['loss'] + (math.nan if model.step == 4 else 0.0))

        runner.model.forward = partial(poisoned, runner.model)
        with pytest.raises(TrainingExplosionError, match='iteration 4 .* loss is nan'):
            runner.train()
        state = torch.load(tmp_path / 'explosion' / 'iter_4_rank0.pth', weights_only=True)
        assert state['weights_are'] == 'after step 5'

    def test_everything_is_logged_and_kept_in_checkpoints(self, tmp_path, monkeypatch):
        checkpoint = dict(type='SafeCheckpointHook', by_epoch=False, interval=7)
        runner = self.runner(tmp_path / 'late', checkpoint=checkpoint)
        runner.train()
        monkeypatch.setattr(explosion, 'is_on_gpu', lambda model: False)
        waiting = self.runner(tmp_path / 'waiting', checkpoint=checkpoint)
        waiting.train()
        for name in ('loss', 'grad_norm', 'lr'):
            assert history(runner, name) == history(waiting, name)
            assert len(history(runner, name)) == 10
        for number in (7, 10):
            hubs = [
                torch.load(tmp_path / run / f'iter_{number}.pth', weights_only=True)['message_hub']
                for run in ('late', 'waiting')
            ]
            late, there = (hub['log_scalars']['train/loss']['log'] for hub in hubs)
            assert torch.as_tensor(late).tolist() == torch.as_tensor(there).tolist()
            assert len(late) == number
        assert torch.equal(runner.model.weight, waiting.model.weight)

    def test_nothing_is_read_before_it_is_due(self, tmp_path, monkeypatch):
        runner = self.runner(tmp_path, checkpoint=None, logger=dict(type='LoggerHook', interval=4))
        reads, read = [], explosion.SentStep.read

        def noted(step):
            reads.append((step.iter, runner.iter + 1))
            return read(step)

        monkeypatch.setattr(explosion.SentStep, 'read', noted)
        runner.train()
        at_once = {done for done, now in reads if done == now}
        assert at_once == {4, 8, 10}
        assert all(done >= now - 1 for done, now in reads)

    @pytest.mark.parametrize(
        'change',
        [
            dict(type='OptimWrapper'),
            dict(clip_grad=None),
            dict(clip_grad=dict(type='value', clip_value=1.0)),
            dict(optimizer=dict(type='AdamW', lr=0.1)),
        ],
    )
    def test_where_a_part_is_missing_each_step_is_waited_for(self, tmp_path, change):
        wrapper = dict(
            type='BFloat16OptimWrapper',
            optimizer=dict(type='AdamW', lr=0.1, fused=True),
            clip_grad=dict(max_norm=1.0),
        )
        hooks = dict(
            checkpoint=None,
            runtime_info=dict(type='LateInfoHook'),
            explosion=dict(type='ExplosionHook'),
        )
        runner = make_runner(
            tmp_path, lambda step: math.inf, hooks=hooks, optim_wrapper=dict(wrapper, **change)
        )
        with pytest.raises(TrainingExplosionError, match='iteration 1 '):
            runner.train()
        assert runner.iter == 0


def history(runner, name):
    return runner.message_hub.get_scalar(f'train/{name}').data[0].tolist()


def batches(runner):
    """Indices of each batch of the first epoch."""
    runner.train_dataloader.sampler.set_epoch(0)
    return [batch['inputs'][0].int().tolist() for batch in runner.train_dataloader]


@pytest.mark.parametrize('args', [dict(interval=0), dict(window=0), dict(factor=1.0)])
def test_bad_arguments_are_named(args):
    with pytest.raises(ValueError, match=next(iter(args))):
        ExplosionHook(**args)


def poison_gradient(iteration: int) -> None:
    """Saboteur: a gradient is not a number; the loss is as it should be."""
    from mmengine.runner import EpochBasedTrainLoop

    step = EpochBasedTrainLoop.run_iter

    def run_iter(self, idx, data_batch):
        if self.iter == iteration:
            weight = self.runner.model.head.pred.weight
            weight.register_hook(lambda gradient: gradient * math.nan)
        step(self, idx, data_batch)

    EpochBasedTrainLoop.run_iter = run_iter


def test_the_state_file_reproduces_the_step(tmp_path, videos):
    config = runs.write_config(tmp_path, videos, extra='')
    run = runs.start(config, tmp_path / 'run', saboteur=partial(poison_gradient, 5))
    assert run.wait() == [1], run.output()
    assert 'the norm of the gradients is nan' in run.output()
    path = tmp_path / 'run' / 'explosion' / 'iter_6_rank0.pth'
    assert str(path) in run.output()
    state = torch.load(path, weights_only=True)
    assert state['last_checkpoint'] == str(tmp_path / 'run' / 'iter_5.pth')

    cfg = Config.fromfile(config)
    torch.set_num_threads(1)
    model = MODELS.build(cfg.model)
    model.load_state_dict(state['state_dict'])
    batch = model.data_preprocessor(
        {key: value for key, value in state['batch'].items() if key != 'samples'}
    )
    loss = model(**batch, mode='loss')['loss']
    assert float(loss.detach()) == pytest.approx(state['losses']['loss'], abs=1e-6)
    recorded = runs.samples(tmp_path / 'run')[-1]
    assert recorded['iter'] == 5
    assert [sample['path'] for sample in state['batch']['samples']] == recorded['paths']
    assert [ids.tolist() for ids in state['batch']['ids_keep']] == recorded['ids']


def poison_loss(rank: str, iteration: int) -> None:
    """Saboteur: the loss of one process is not a number."""
    from mmmae_st.models import SpatiotemporalMAE

    loss, count = SpatiotemporalMAE.loss, [0]

    def poisoned(self, *args, **kwargs):
        losses = loss(self, *args, **kwargs)
        if self.training and os.environ['RANK'] == rank:
            count[0] += 1
            if count[0] == iteration + 1:
                losses['loss'] = losses['loss'] * math.nan
        return losses

    SpatiotemporalMAE.loss = poisoned


def test_one_process_explodes_and_both_stop_with_the_cause_once(config, tmp_path):
    run = runs.start(config, tmp_path / 'run', world_size=2, saboteur=partial(poison_loss, '1', 2))
    assert run.wait() == [1, 1], run.output()
    assert run.output().count('TrainingExplosionError: iteration 3') == 1
    files = sorted(path.name for path in (tmp_path / 'run' / 'explosion').iterdir())
    assert files == ['iter_3_rank0.pth', 'iter_3_rank1.pth']
    assert (tmp_path / 'run' / 'iter_2.pth').exists()
