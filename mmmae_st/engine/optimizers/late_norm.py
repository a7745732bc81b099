"""The norm of the gradients without waiting for the device."""

from mmengine.optim import OptimWrapper
from torch import Tensor


class LateNormOptimWrapper(OptimWrapper):
    """mmengine's ``OptimWrapper``, which can leave the norm of the gradients on the device.

    mmengine turns it into a number before each step of the optimiser, and so waits until the
    backward pass has ended.

    Attributes:
        is_late: Leave the norm in ``grad_norm`` in place of logging it at once. Whoever sets it
            logs the norm and makes sure that it is finite, see ``ExplosionHook``.
        grad_norm: Norm before clipping of the last step, on the device, until it is taken.
    """

    is_late: bool = False
    grad_norm: Tensor | None = None

    @property
    def clips_by_norm(self) -> bool:
        """Whether each step has a norm."""
        return bool(self.clip_grad_kwargs) and self.grad_name == 'grad_norm'

    def note_norm(self, norm: Tensor) -> None:
        """Keep the norm, or log it."""
        if self.is_late:
            self.grad_norm = norm
        else:
            self.message_hub.update_scalar(f'train/{self.grad_name}', float(norm))

    def take_norm(self) -> Tensor | None:
        """The norm of the step just made; None if none was made since it was last taken."""
        norm, self.grad_norm = self.grad_norm, None
        return norm

    def _clip_grad(self) -> None:
        params = [
            param
            for group in self.optimizer.param_groups
            for param in group['params']
            if param.grad is not None
        ]
        if params:
            norm = self.clip_func(params, **self.clip_grad_kwargs)
            if norm is not None:  # clipping by value has none
                self.note_norm(norm)
