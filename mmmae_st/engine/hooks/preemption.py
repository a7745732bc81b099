"""Saving and stopping when the scheduler, or the user, asks for it."""

import os
import signal
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import torch
from mmengine.dist import all_reduce, get_comm_device, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner

from mmmae_st.engine.hooks.checkpoint import SafeCheckpointHook
from mmmae_st.engine.runner.resume import at_update, can_start_mid_epoch
from mmmae_st.registry import HOOKS

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@HOOKS.register_module()
class PreemptionHook(Hook):
    """On SIGTERM (Slurm, torchrun, a cloud) or SIGINT (Ctrl-C): save, then exit.

    The running iteration is finished, or the running accumulation of gradients, a checkpoint is
    written in mid-epoch by the ``SafeCheckpointHook`` of the run, and all processes exit with
    128 + the signal's number: **143** for SIGTERM, **130** for SIGINT. A launcher that submits the
    same command with ``--resume`` on these codes goes on where the run was. A signal to one process
    stops all of them. The second signal ends a process at once, without saving. A signal during
    validation ends it after the running batch; the resumed run goes on with the next epoch and does
    not make up for it. Before training and after it the signals do what they did.

    Loader workers get a process group of their own: a signal to the group of the run (Ctrl-C, srun)
    would end them, and with them the iteration that is to be finished. Processes forked from the
    run (mmaction2's metric for AVA makes some and terminates them) have the former handlers.

    Raises:
        ValueError: At the start of training, if the run has no ``SafeCheckpointHook``.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        self._signal = 0
        self._loop: BaseLoop | None = None
        self._previous: dict[int, Any] = {}

    def before_train(self, runner: Runner) -> None:
        """Listen for the signals."""
        if not any(isinstance(hook, SafeCheckpointHook) for hook in runner.hooks):
            raise ValueError(
                "PreemptionHook needs default_hooks.checkpoint=dict(type='SafeCheckpointHook')"
            )
        loaders = [runner.train_dataloader]
        if runner.val_loop is not None:
            loaders.append(runner.val_dataloader)
        for loader in loaders:
            loader.worker_init_fn = partial(_init_worker, loader.worker_init_fn)
        self._signal = 0
        self._loop = runner.train_loop
        self._previous = {number: signal.signal(number, self._note) for number in SIGNALS}

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Save and exit if any process has heard a signal."""
        self._heed(runner, runner.iter + 1)

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """The same during a validation of the run."""
        loader = runner.val_dataloader
        batch_size, processes = loader.batch_size or len(loader.dataset), get_world_size()
        everywhere = len(loader.dataset) // (batch_size * processes)  # batches of each process
        if self._previous and (processes == 1 or batch_idx < everywhere):
            self._heed(runner, runner.iter)

    def after_train(self, runner: Runner) -> None:
        """Stop listening."""
        self.stop_listening()

    def stop_listening(self) -> None:
        """Give the signals back to their former handlers."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _heed(self, runner: Runner, done: int) -> None:
        """Save and exit after ``done`` iterations if any process has heard a signal."""
        number = self._agree()
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

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._signal:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        elif not self._is_running(frame):  # an error has ended the run, without after_train
            self.stop_listening()
            signal.raise_signal(number)
        else:
            self._signal = number

    def _is_running(self, frame: FrameType | None) -> bool:
        """Whether the training loop is among the callers of the code that was interrupted."""
        while frame is not None:
            if frame.f_locals.get('self') is self._loop:
                return True
            frame = frame.f_back
        return False

    def _agree(self) -> int:
        """The signal that some process has heard; 0 for none."""
        if get_world_size() == 1:
            return self._signal
        heard = torch.tensor(self._signal, device=get_comm_device())
        all_reduce(heard, op='max')
        return int(heard)


def _init_worker(init: Callable[[int], None] | None, worker_id: int) -> None:
    os.setpgid(0, 0)
    if init is not None:
        init(worker_id)


# A handler is inherited by a forked process, where Python drops a signal that comes before its own
# set-up has ended. So signals wait during a fork, until the child has the former handlers.
def _listening() -> PreemptionHook | None:
    hook = getattr(signal.getsignal(signal.SIGTERM), '__self__', None)
    return hook if isinstance(hook, PreemptionHook) else None


def _before_fork() -> None:
    if _listening() is not None:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _after_fork_in_parent() -> None:
    if _listening() is not None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _after_fork_in_child() -> None:
    hook = _listening()
    if hook is not None:
        hook.stop_listening()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
