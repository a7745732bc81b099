"""What is kept of a training: losses, times, and weights on the way."""

import time
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmmae_st.fileio.atomic_file import written_whole

SNAPSHOTS = (0.25, 0.5, 0.75)  # of the steps of a pretraining: weights are kept there


class TrainingLoss(Hook):
    """Keeps the loss of each step, and when it ended."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.times: list[float] = []

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Keep them; reading the loss waits for the device."""
        self.losses.append(float(outputs['loss'].detach()))
        self.times.append(time.perf_counter())

    def mean_of_last(self, share: float = 0.1) -> float:
        """Mean over the last part of the run."""
        last = self.losses[-max(round(share * len(self.losses)), 1) :]
        return sum(last) / len(last)


class SnapshotHook(Hook):
    """Keeps the weights at ``SNAPSHOTS`` of the steps.

    Args:
        checkpoint: File of the weights at the end; the others are called after it.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Keep them when it is time."""
        for share in SNAPSHOTS:
            if runner.iter + 1 == round(share * runner.max_iters):
                save_weights(runner, snapshot_file(self.checkpoint, share))


def snapshot_file(checkpoint: Path, share: float) -> Path:
    """Where the weights at a share of the steps are, the whole of which ends in ``checkpoint``."""
    if share == 1:
        return checkpoint
    return checkpoint.with_name(f'{checkpoint.stem}_{share:.2f}{checkpoint.suffix}')


def save_weights(runner: Runner, checkpoint: Path) -> None:
    """Write the weights of the model, on the CPU."""
    state = {name: value.cpu() for name, value in runner.model.state_dict().items()}
    with written_whole(checkpoint) as temporary:
        torch.save(dict(state_dict=state), temporary)
