"""Stops a run whose loss or gradients blow up, and keeps what is needed to look into it."""

import math
from collections import deque
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce_dict, get_rank, is_main_process
from mmengine.hooks import Hook, LoggerHook
from mmengine.runner import Runner
from mmengine.runner.checkpoint import weights_to_cpu
from torch import Tensor, nn
from torch.optim import Optimizer

from mmmae_st.engine.hooks.late_info import LateInfoHook, SentStep
from mmmae_st.engine.optimizers.late_norm import LateNormOptimWrapper
from mmmae_st.engine.optimizers.sharding import norm_of_parts
from mmmae_st.engine.runner.ending import stop_together
from mmmae_st.engine.runner.wrapped_model import is_sharded, unwrapped, whole_state_dict
from mmmae_st.fileio.atomic_file import written_whole
from mmmae_st.fileio.plain_data import make_plain
from mmmae_st.registry import HOOKS

FOLDER = 'explosion'
# A gradient scaler that begins at 2**16 has reached 2**-24 by then: it will find no scale.
MAX_SKIPPED = 40


class TrainingExplosionError(RuntimeError):
    """The loss or a gradient is not finite, or the loss has jumped."""


@HOOKS.register_module()
class ExplosionHook(Hook):
    """Stops the run when the loss or the gradients explode. No checkpoint is deleted.

    - A gradient that is not finite stops it before the optimiser uses it. Steps that a gradient
      scaler skips are part of mixed precision and no explosion, unless it skips them for ever.
    - A loss that is not finite stops it.
    - So does a loss above ``factor`` times the mean of the ``window`` preceding ones (the rule of
      PySlowFast). Each is a mean over ``interval`` iterations, as a logger writes it.

    Every process writes ``explosion/iter_<N>_rank<R>.pth`` to the work directory: its batch with
    paths, indices, epoch, frames and masks, the last losses, learning rates, and (rank 0) the
    weights; ``torch.load`` reads it with ``weights_only=True``.

    The losses are averaged over the processes before any other hook sees them, so that logs speak
    of the whole batch and all processes stop together.

    **On a GPU** nothing waits for a step to end, so that the next one is prepared meanwhile. A
    step whose gradients are not finite leaves the weights alone there, and so do those after it;
    its losses and its norm come to the host in one copy, are looked at and logged one step later,
    and at once where a log is due. This takes one of our optimiser wrappers (with ``clip_grad``),
    a fused optimiser and ``default_hooks.runtime_info=dict(type='LateInfoHook')``, as in the
    configs; without them each step is waited for.

    Args:
        interval: Iterations of one logged loss.
        window: Preceding logged losses to compare with.
        factor: Largest ratio of a logged loss to their mean.

    Raises:
        ValueError: For an impossible argument, naming it.
    """

    priority = 'HIGHEST'

    def __init__(self, interval: int = 20, window: int = 5, factor: float = 2.0) -> None:
        for name, value in dict(interval=interval, window=window).items():
            if value < 1:
                raise ValueError(f'{name} must be at least 1, got {value}')
        if factor <= 1:
            raise ValueError(f'factor must be above 1, got {factor}')
        self.interval = interval
        self.window = window
        self.factor = factor
        self._batch: dict[str, Any] | None = None
        self._losses: dict[str, Tensor] = {}
        self._stepped = False
        self._skipped = 0
        self._is_late = False
        self._exploded: Tensor | None = None
        self._sent: deque[SentStep] = deque()

    def before_train(self, runner: Runner) -> None:
        """Look at the gradients before each step of the optimiser."""
        self._is_late = can_be_late(runner)
        if self._is_late:
            self._guard_on_device(runner)
        else:
            self._guard_on_host(runner)

    def _guard_on_host(self, runner: Runner) -> None:
        def keep_losses(model: nn.Module, args: tuple, output: Any) -> None:
            if model.training and isinstance(output, dict):
                losses = {k: v.detach() for k, v in output.items() if isinstance(v, Tensor)}
                self._losses = losses

        def check_gradients(optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
            skipped = getattr(optimizer, 'found_inf', None)  # set by a gradient scaler
            if skipped is not None and skipped.item() > 0:
                return
            self._stepped = True
            norm = gradient_norm(runner, optimizer)
            if not math.isfinite(norm):
                step = SentStep(runner, self._batch, self._losses)
                self._stop(runner, step, f'the norm of the gradients is {norm}', updated=False)

        model = unwrapped(runner.model)
        model.register_forward_hook(keep_losses)
        runner.optim_wrapper.optimizer.register_step_pre_hook(check_gradients)

    def _guard_on_device(self, runner: Runner) -> None:
        wrapper = runner.optim_wrapper
        wrapper.is_late = True
        for hook in runner.hooks:
            if isinstance(hook, LateInfoHook):
                hook.is_late = True

        def skip_from_explosion_on(optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
            exploded = (~wrapper.grad_norm.isfinite()).float()
            if self._exploded is not None:
                exploded = torch.maximum(exploded, self._exploded)
            # Read by fused optimisers, on the device; 1 leaves weights and moments as they are.
            self._exploded = optimizer.found_inf = exploded  # type: ignore[attr-defined]

        wrapper.optimizer.register_step_pre_hook(skip_from_explosion_on)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Keep the batch at hand."""
        self._batch = data_batch
        self._stepped = False

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Any = None,
    ) -> None:
        """Average the losses over the processes; look at them, or at those of the step before."""
        outputs.update((name, value.detach()) for name, value in outputs.items())
        all_reduce_dict(outputs, op='mean')
        norm = runner.optim_wrapper.take_norm() if self._is_late else None
        self._sent.append(SentStep(runner, data_batch, outputs, norm))
        if self._is_late and not self._is_due(runner, batch_idx):
            self._receive(runner, but=1)
        else:
            self._receive(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """A checkpoint holds all that was logged, also one that nobody has foreseen."""
        if self._sent:
            self._receive(runner)
            checkpoint['message_hub'] = runner.message_hub.state_dict()

    def _is_due(self, runner: Runner, batch_idx: int) -> bool:
        """Whether a log, the end of an epoch or the rule of the mean needs the step just made."""
        return (
            self.every_n_train_iters(runner, self.interval)
            or self.is_last_train_iter(runner)
            or self.end_of_epoch(runner.train_dataloader, batch_idx)
            or any(
                self.every_n_inner_iters(batch_idx, hook.interval)
                for hook in runner.hooks
                if isinstance(hook, LoggerHook)
            )
        )

    def _receive(self, runner: Runner, but: int = 0) -> None:
        """Look at the steps that were sent, in order, but for the last ones."""
        while len(self._sent) > but:
            step = self._sent.popleft()
            self._judge(runner, step)
            if self._is_late:
                for name, value in step.read().items():
                    runner.message_hub.update_scalar(f'train/{name}', value)

    def _judge(self, runner: Runner, step: SentStep) -> None:
        scalars = step.read()
        norm = scalars.pop('grad_norm', 0.0) if self._is_late else 0.0
        if not math.isfinite(norm):
            self._stop(runner, step, f'the norm of the gradients is {norm}', updated=False)
        bad = [name for name, value in scalars.items() if not math.isfinite(value)]
        if bad:
            self._stop(runner, step, f'{bad[0]} is {scalars[bad[0]]}')
        if step.iter % self.interval == 0:
            logged = self._logged_losses(runner, scalars['loss'])
            if len(logged) > self.window:
                before = sum(logged[:-1]) / self.window
                if logged[-1] > self.factor * before:
                    reason = (
                        f'the loss is {logged[-1]:.6g}, above {self.factor:g} times the mean '
                        f'{before:.6g} of the {self.window} logged before'
                    )
                    self._stop(runner, step, reason)
        self._count_skipped(runner, step)

    def _logged_losses(self, runner: Runner, loss: float) -> list[float]:
        """The running loss and those before, in order, from the history that a resume keeps."""
        number = self.interval * (self.window + 1) - 1
        history = [*_loss_history(runner, number), loss]
        ends = range(len(history), self.interval - 1, -self.interval)
        return [sum(history[end - self.interval : end]) / self.interval for end in ends][::-1]

    def _count_skipped(self, runner: Runner, step: SentStep) -> None:
        wrapper = runner.optim_wrapper
        if not hasattr(wrapper, 'loss_scaler') or not wrapper.should_update():
            return
        self._skipped = 0 if self._stepped else self._skipped + 1
        if self._skipped >= MAX_SKIPPED:
            scale = wrapper.loss_scaler.get_scale()
            reason = f'the gradient scaler has skipped {MAX_SKIPPED} steps (scale {scale:g})'
            self._stop(runner, step, reason)

    def _stop(self, runner: Runner, step: SentStep, reason: str, updated: bool = True) -> None:
        last = _loss_history(runner, 10)
        losses = step.read()
        losses.pop('grad_norm', None)
        state = dict(
            reason=reason,
            iter=step.iter,
            epoch=step.epoch,
            seed=runner.seed,
            losses=losses,
            last_losses=last,
            lr=step.lr,
            last_checkpoint=runner.message_hub.get_info('last_ckpt'),
            weights_are=f'after step {runner.iter + 1}' if updated else 'before the step',
            batch=describe_batch(step.batch),
        )
        make_plain(state)
        weights = whole_state_dict(runner.model)
        if is_main_process():
            state['state_dict'] = weights_to_cpu(weights)
        path = Path(runner.work_dir, FOLDER, f'iter_{step.iter}_rank{get_rank()}.pth')
        kept = f'The batch is kept in {path}'
        try:
            with written_whole(path) as temporary:
                torch.save(state, temporary)
        except OSError as error:
            kept = f'The batch could not be kept: {error}'
        shown = [float(f'{value:.6g}') for value in [*last, *losses.values()]]
        stop_together(
            TrainingExplosionError(
                f'iteration {step.iter} (epoch {step.epoch + 1}): {reason}. Last losses: {shown}. '
                f'{kept}. Every checkpoint is left as it was, the last one is '
                f'{state["last_checkpoint"]}. Mend the cause (learning rate, data), then --resume '
                'it or an earlier one.'
            )
        )


def _loss_history(runner: Runner, number: int) -> list[float]:
    history = runner.message_hub.log_scalars.get('train/loss')
    return [] if history is None else history.data[0][-number:].tolist()


def can_be_late(runner: Runner) -> bool:
    """Whether the host need not wait for each step: the parts of the run for it are there."""
    wrapper = runner.optim_wrapper
    return (
        isinstance(wrapper, LateNormOptimWrapper)
        and wrapper.clips_by_norm
        and getattr(wrapper.optimizer, '_step_supports_amp_scaling', False)  # takes found_inf
        and any(isinstance(hook, LateInfoHook) for hook in runner.hooks)
        and is_on_gpu(runner.model)
    )


def is_on_gpu(model: nn.Module) -> bool:
    """Whether the model is where work goes on without the host."""
    return next(model.parameters()).is_cuda


def gradient_norm(runner: Runner, optimizer: Optimizer) -> float:
    """Norm of all gradients before clipping, of the step about to be made."""
    wrapper = runner.optim_wrapper
    if wrapper.clip_grad_kwargs and wrapper.grad_name == 'grad_norm':
        return float(runner.message_hub.get_scalar('train/grad_norm').current())
    groups = optimizer.param_groups
    gradients = [p.grad for group in groups for p in group['params'] if p.grad is not None]
    norm = norm_of_parts if is_sharded(runner.model) else torch.nn.utils.get_total_norm
    return float(norm(gradients))


def describe_batch(batch: dict[str, Any] | None) -> dict[str, Any]:
    """The tensors of a batch, and under ``samples`` what is known of their origin."""
    content = {key: value for key, value in (batch or {}).items() if key != 'data_samples'}
    samples = (batch or {}).get('data_samples', [])
    content['samples'] = [dict(sample.metainfo) for sample in samples]
    return content
