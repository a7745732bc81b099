"""Random numbers of a training step that depend on the step alone."""

import random

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmmae_st.datasets.sample_key import step_seeds
from mmmae_st.registry import HOOKS


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Seeds Python, NumPy and PyTorch before each step from (seed, iteration, process).

    Stochastic depth, dropout and mixup draw from these generators. So seeded, a resumed run draws
    what the run would have drawn had it never stopped, whatever ran in between (validation draws
    too), and nothing need be saved. Clips and masks do not depend on them.
    """

    priority = 'HIGHEST'

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Seed."""
        seed, numpy_seed = step_seeds(runner.seed, runner.iter, get_rank())
        random.seed(seed)
        np.random.seed(numpy_seed)
        torch.manual_seed(seed)
