"""The published warm-up of the learning rate."""

from mmengine.optim import BaseOptimWrapper, LinearLR
from torch.optim import Optimizer

from mmmae_st.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class WarmupLR(LinearLR):
    """Learning rate in proportion to the step, from 0 at ``begin`` to the full one at ``end``.

    With ``convert_to_iter_based=True`` that is ``lr * e / warmup`` in the fractional epoch e of
    each iteration, as in mae_st. A ``CosineAnnealingLR`` that begins at ``end`` takes over at the
    full rate. mmengine's ``LinearLR`` is there one step earlier, and cannot begin at 0.

    Args:
        optimizer: Optimiser or its wrapper.
        begin: First step, of rate 0.
        end: Step of the full rate, after ``begin``.
        last_step: Index of the last step, for resuming without a state.
        by_epoch: Whether steps are epochs; iterations otherwise.
        verbose: Print each rate.

    Raises:
        ValueError: If ``end`` does not come after ``begin``.
    """

    def __init__(
        self,
        optimizer: Optimizer | BaseOptimWrapper,
        begin: int = 0,
        end: int = 1,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        if end <= begin:
            raise ValueError(f'end must be greater than begin={begin}, got {end}')
        super().__init__(
            optimizer,
            start_factor=0.0,
            begin=begin,
            end=end + 1,
            last_step=last_step,
            by_epoch=by_epoch,
            verbose=verbose,
        )

    def _get_value(self) -> list[float]:
        return [base * self.last_step / self.total_iters for base in self.base_values]
