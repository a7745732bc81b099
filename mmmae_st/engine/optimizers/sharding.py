"""Training with weights, gradients and optimiser state spread over the processes (FSDP)."""

import torch
import torch.distributed as dist
from mmengine._strategy import FSDPStrategy
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from mmmae_st.engine.optimizers.bfloat16 import BFloat16OptimWrapper
from mmmae_st.models.layers import Block
from mmmae_st.registry import FUNCTIONS, OPTIM_WRAPPERS, STRATEGIES

NEEDS_PROCESSES = (
    'weights are spread over several processes, and there is one: start them with '
    'tools/dist_train.sh CONFIG NUMBER, or torchrun and --launcher pytorch'
)


@FUNCTIONS.register_module()
def wrap_blocks(module: nn.Module, recurse: bool, nonwrapped_numel: int) -> bool:
    """``auto_wrap_policy`` of FSDP: each transformer block is gathered and freed as one unit."""
    return recurse or isinstance(module, Block)


@OPTIM_WRAPPERS.register_module()
class ShardedOptimWrapper(BFloat16OptimWrapper):
    """``BFloat16OptimWrapper`` for mmengine's ``FSDPStrategy``.

    A process holds a part of each gradient only. mmengine 0.10.7 clips by the norm of that part,
    a different one in each process; here the norm is that of all parts.

    Raises:
        ValueError: If ``clip_grad`` is not ``dict(max_norm=...)``.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        accumulative_counts: int = 1,
        clip_grad: dict | None = None,
        force_bfloat16: bool = False,
    ) -> None:
        if clip_grad is not None and set(clip_grad) != {'max_norm'}:
            raise ValueError(f'clip_grad must be dict(max_norm=...), got {clip_grad}')
        super().__init__(optimizer, accumulative_counts, clip_grad, force_bfloat16)

    def _clip_grad(self) -> None:
        params = [p for group in self.optimizer.param_groups for p in group['params']]
        grads = [param.grad for param in params if param.grad is not None]
        norm = norm_of_parts(grads)
        nn.utils.clip_grads_with_norm_(params, self.clip_grad_kwargs['max_norm'], norm)
        self.note_norm(norm)


def norm_of_parts(grads: list[Tensor]) -> Tensor:
    """Norm of gradients of which each process holds a part; every process has to ask."""
    square = nn.utils.get_total_norm(grads).float().square()
    dist.all_reduce(square)
    return square.sqrt()


@STRATEGIES.register_module()
class ShardedStrategy(FSDPStrategy):
    """mmengine's ``FSDPStrategy``, mended for current PyTorch, for GPUs and for CPUs.

    Checkpoints are always full (``state_dict_cfg='full'``): those of an unsharded run, which
    everything else loads. mmengine 0.10.7 passes the arguments of
    ``FSDP.optim_state_dict_to_load`` in the order of PyTorch 2.0, and needs a GPU. Without
    ``model_wrapper`` each transformer block is a unit (:func:`wrap_blocks`).

    Raises:
        ValueError: If there are no processes to spread a model over.
    """

    model_wrapper: dict | None

    def _init_state_dict_cfg(self, state_dict_cfg: str | dict) -> None:
        super()._init_state_dict_cfg('full')
        if not torch.cuda.is_available():  # moving to where it is would not copy
            self.state_dict_config.offload_to_cpu = False
            self.optim_state_dict_config.offload_to_cpu = False

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        if not dist.is_initialized():
            raise ValueError(NEEDS_PROCESSES)
        if not self.model_wrapper:
            policy = dict(type='mmmae_st.wrap_blocks')
            self.model_wrapper = dict(type='MMFullyShardedDataParallel', auto_wrap_policy=policy)
        if not torch.cuda.is_available():
            self.model_wrapper.setdefault('device_id', 'cpu')
        return super()._wrap_model(model)

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """Give each process its part of a full optimiser state."""
        optimizer = self.optim_wrapper.optimizer
        optimizer.load_state_dict(
            FullyShardedDataParallel.optim_state_dict_to_load(self.model, optimizer, state_dict)
        )
