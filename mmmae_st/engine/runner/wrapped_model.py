"""The model of a run, which may be wrapped for several processes or spread over them."""

from typing import Any

from mmengine.model import is_model_wrapper
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel


def unwrapped(model: nn.Module) -> Any:
    """The model that ``DistributedDataParallel`` or FSDP wraps; one without a wrapper as it is."""
    return model.module if is_model_wrapper(model) else model


def is_sharded(model: nn.Module) -> bool:
    """Whether each process holds a part of the weights only (FSDP)."""
    return isinstance(model, FullyShardedDataParallel)


def whole_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """Weights of the unwrapped model, under its names.

    Every process has to ask: of a sharded model the parts come together on the main process, and
    the others get an empty dict.
    """
    return (model if is_sharded(model) else unwrapped(model)).state_dict()
