"""Mixed precision without a loss scaler, on a GPU or a CPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from mmmae_st.engine.optimizers.late_norm import LateNormOptimWrapper
from mmmae_st.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(LateNormOptimWrapper):
    """mmengine's ``OptimWrapper`` with the forward pass under bfloat16 autocast.

    bfloat16 has the range of float32, so no loss is scaled and no step skipped. mmengine's
    ``AmpOptimWrapper`` keeps a scaler for it all the same and refuses to run without a GPU.
    Weights, gradients and the loss stay in float32.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Context of the forward pass: autocast, and no gradient sync while accumulating."""
        device_type = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device_type, dtype=torch.bfloat16):
            yield
