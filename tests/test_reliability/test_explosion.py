import math
import warnings

import pytest
import torch
from scripted import make_runner

from mmmae_st.engine.explosion import MAX_SKIPPED, ExplosionHook, TrainingExplosionError


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


@pytest.mark.parametrize('args', [dict(interval=0), dict(window=0), dict(factor=1.0)])
def test_bad_arguments_are_named(args):
    with pytest.raises(ValueError, match=next(iter(args))):
        ExplosionHook(**args)
