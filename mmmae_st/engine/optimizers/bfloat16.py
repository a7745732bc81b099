"""Mixed precision without a loss scaler, on a GPU or a CPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from mmmae_st.engine.optimizers.late_norm import LateNormOptimWrapper
from mmmae_st.precision import use_bfloat16
from mmmae_st.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(LateNormOptimWrapper):
    """mmengine's ``OptimWrapper`` with the forward pass under bfloat16 autocast.

    bfloat16 has the range of float32, so no loss is scaled and no step skipped. mmengine's
    ``AmpOptimWrapper`` keeps a scaler for it all the same and refuses to run without a GPU.
    Weights, gradients and the loss stay in float32. Where the hardware has no bfloat16, all of it
    runs in float32 and the log says why.

    Args:
        optimizer: Optimiser of the parameters.
        accumulative_counts: Steps whose gradients make one update.
        clip_grad: Arguments of mmengine's gradient clipping; None for none.
        force_bfloat16: Use bfloat16 on any hardware, however slow.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        accumulative_counts: int = 1,
        clip_grad: dict | None = None,
        force_bfloat16: bool = False,
    ) -> None:
        super().__init__(optimizer, accumulative_counts, clip_grad)
        self.force_bfloat16 = force_bfloat16
        self._autocast: bool | None = None  # decided at the first step, when the device is known

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Context of the forward pass: autocast, and no gradient sync while accumulating."""
        device = next(model.parameters()).device
        if self._autocast is None:
            self._autocast = use_bfloat16('force' if self.force_bfloat16 else True, device)
        with (
            super().optim_context(model),
            torch.autocast(device.type, dtype=torch.bfloat16, enabled=self._autocast),
        ):
            yield
