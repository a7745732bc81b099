"""Saving and stopping when the scheduler, or the user, asks for it."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

import torch
from mmengine.dist import all_reduce, get_comm_device, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmmae_st.engine.hooks.checkpoint import SafeCheckpointHook
from mmmae_st.engine.hooks.late_info import SentScalars
from mmmae_st.engine.runner.resume import at_update, can_start_mid_epoch
from mmmae_st.registry import HOOKS

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def preemptible(runner: Runner) -> Iterator[None]:
    """Let the ``PreemptionHook`` of a run hear signals; ``runner.train()`` is the block.

    However the block ends, the signals do afterwards what they did before.
    """
    hooks = [hook for hook in runner.hooks if isinstance(hook, PreemptionHook)]
    for hook in hooks:
        hook.may_listen = True
    try:
        yield
    finally:
        for hook in hooks:
            hook.may_listen = False
            hook.stop_listening()


@HOOKS.register_module()
class PreemptionHook(Hook):
    """On SIGTERM (Slurm, torchrun, a cloud) or SIGINT (Ctrl-C): save, then exit.

    The running iteration is finished, or the running accumulation of gradients, a checkpoint is
    written in mid-epoch by the ``SafeCheckpointHook`` of the run, and all processes exit with
    128 + the signal's number: **143** for SIGTERM, **130** for SIGINT. A launcher that submits the
    same command with ``--resume`` on these codes goes on where the run was. A signal to one process
    stops all of them. The second signal ends a process at once, without saving.

    Signals are heard within :func:`preemptible`, as in ``tools/train.py``, while the run trains and
    validates; a validation is left at its next batch. Before and after, and while metrics are
    computed, they do what they did: processes forked by a metric know of no handler.

    Several processes agree after each iteration. What they have agreed on is read after the next
    one, so that on GPUs nothing waits for a step to end.

    Loader workers get a process group of their own: a signal to the group of the run (Ctrl-C, srun)
    would end them, and with them the iteration that is to be finished.

    Raises:
        ValueError: At the start of training, if the run has no ``SafeCheckpointHook``.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.may_listen = False
        self._signal = 0
        self._previous: dict[int, Any] = {}
        self._sent: deque[SentScalars] = deque()
        self._val_batches = 0

    def before_train(self, runner: Runner) -> None:
        """Listen for the signals."""
        if not any(isinstance(hook, SafeCheckpointHook) for hook in runner.hooks):
            raise ValueError(
                "PreemptionHook needs default_hooks.checkpoint=dict(type='SafeCheckpointHook')"
            )
        loaders = [runner.train_dataloader]
        if runner.val_loop is not None:
            loaders.append(runner.val_dataloader)  # its workers may stay during training
        for loader in loaders:
            loader.worker_init_fn = partial(_init_worker, loader.worker_init_fn)
        self._signal = 0
        self._sent.clear()
        self._listen()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Save and exit if any process has heard a signal."""
        self._heed(runner, runner.iter + 1, but=1)

    def before_val_epoch(self, runner: Runner) -> None:
        """Heed what came after the last iteration."""
        self._heed(runner, runner.iter)
        batches = torch.tensor(len(runner.val_dataloader), device=get_comm_device())
        all_reduce(batches, op='min')
        self._val_batches = int(batches)

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: Sequence | None = None,
    ) -> None:
        """Save and exit, or stop listening after the last batch that all processes have."""
        left = self._val_batches - 1 - batch_idx
        if left >= 0:
            self._heed(runner, runner.iter, but=min(left, 1))
        if left == 0:
            self.stop_listening()

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Listen again."""
        self._listen()

    def after_train(self, runner: Runner) -> None:
        """Stop listening."""
        self.stop_listening()

    def stop_listening(self) -> None:
        """Give the signals back to their former handlers."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _listen(self) -> None:
        if self.may_listen:
            self._previous = {number: signal.signal(number, self._note) for number in SIGNALS}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._signal:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._signal = number

    def _heed(self, runner: Runner, done: int, but: int = 0) -> None:
        """Save and exit after ``done`` iterations if any process has heard a signal.

        Of what the processes have agreed on, the last ``but`` answers are left for later.
        """
        number = self._agree(but)
        if not number or not at_update(runner):
            return
        name = signal.Signals(number).name
        [hook] = [hook for hook in runner.hooks if isinstance(hook, SafeCheckpointHook)]
        at_epoch = done == runner.epoch * len(runner.train_dataloader)
        if at_epoch or can_start_mid_epoch(runner):
            saved = hook.save_in_mid_epoch(runner, done)
        else:
            runner.logger.warning(
                f'{type(runner.train_dataloader.sampler).__name__} cannot start in mid-epoch, so '
                'nothing is saved now; use EpochSampler'
            )
            saved = hook.last_ckpt
        runner.logger.info(
            f'{name}: stopped after iteration {done}. --resume goes on from {saved}. '
            f'Exit code {128 + number}.'
        )
        self.stop_listening()
        raise SystemExit(128 + number)

    def _agree(self, but: int) -> int:
        """The signal that some process had heard ``but`` questions ago; 0 for none."""
        if get_world_size() == 1:
            return self._signal
        heard = torch.full((), float(self._signal), device=get_comm_device())
        all_reduce(heard, op='max')
        self._sent.append(SentScalars(dict(signal=heard)))
        number = 0.0
        while len(self._sent) > but:
            number = self._sent.popleft().read()['signal']
        return int(number)


def _init_worker(init: Callable[[int], None] | None, worker_id: int) -> None:
    os.setpgid(0, 0)
    if init is not None:
        init(worker_id)
