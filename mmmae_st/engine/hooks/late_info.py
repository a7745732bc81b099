"""Scalars on their way from the device to the host."""

from typing import Any

import torch
from mmengine.hooks import RuntimeInfoHook
from mmengine.runner import Runner
from torch import Tensor

from mmmae_st.registry import HOOKS


class SentScalars:
    """Scalars of the device, copied to the host all in one, on CUDA without waiting for them.

    Args:
        scalars: Tensors by name, the mean of each is sent.
    """

    def __init__(self, scalars: dict[str, Tensor]) -> None:
        self._names = list(scalars)
        on_device = torch.stack([value.detach().float().mean() for value in scalars.values()])
        self._on_host = on_device.to('cpu', non_blocking=on_device.is_cuda)
        self._copied: torch.cuda.Event | None = None
        if on_device.is_cuda:
            self._copied = torch.cuda.Event()
            self._copied.record()

    def read(self) -> dict[str, float]:
        """The scalars by name, waiting for the device if it has not come so far."""
        if self._copied is not None:
            self._copied.synchronize()
        return dict(zip(self._names, self._on_host.tolist(), strict=True))


class SentStep(SentScalars):
    """A training step whose losses and norm of the gradients are sent to the host.

    Args:
        runner: Of the run, just after the step.
        batch: What the step was given.
        losses: Losses by name, each of one value, on the device.
        grad_norm: Norm of the gradients, on the device; None where it was looked at before.

    Attributes:
        iter: Number of the step, from 1.
        epoch: Number of its epoch, from 0.
        lr: Learning rates by name, one for each group.
        batch: As given.
    """

    def __init__(
        self,
        runner: Runner,
        batch: dict[str, Any] | None,
        losses: dict[str, Tensor],
        grad_norm: Tensor | None = None,
    ) -> None:
        self.iter = runner.iter + 1
        self.epoch = runner.epoch
        self.lr = runner.optim_wrapper.get_lr()
        self.batch = batch
        super().__init__(losses if grad_norm is None else dict(losses, grad_norm=grad_norm))


@HOOKS.register_module()
class LateInfoHook(RuntimeInfoHook):
    """mmengine's ``RuntimeInfoHook``, which can leave the losses of a step to another hook.

    mmengine's reads each loss after each step, and so waits for the device.

    Attributes:
        is_late: The losses are logged by who has set this, see ``ExplosionHook``.
    """

    is_late: bool = False

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Log the losses, unless they come later."""
        if not self.is_late:
            super().after_train_iter(runner, batch_idx, data_batch, outputs)
