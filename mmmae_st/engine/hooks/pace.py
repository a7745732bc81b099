"""Says how long a run will take, and what it waits for when that is long."""

import signal
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook, LoggerHook
from mmengine.runner import Runner

from mmmae_st.registry import HOOKS

MEASURED = 4  # step whose time is taken as that of all; the first ones are slower
SOON = 20.0  # seconds of steps after which an estimate is due in any case
MAX_LINES = 10  # before the first step


@dataclass
class _Clock:
    """Moments of a training, in seconds of ``time.monotonic``; of steps done by this process."""

    began: float = field(default_factory=time.monotonic)
    first_batch: float | None = None
    last_step: float = 0.0
    steps: int = 0
    first_seconds: float = 0.0
    spoke: float | None = None
    first_step_done: threading.Event = field(default_factory=threading.Event)


@HOOKS.register_module()
class PaceHook(Hook):
    """Says how long an epoch and the run will take as soon as that can be told.

    One line comes after the first steps, on a slow machine after the very first: the time to the
    first batch, the first step with what it took longer than later ones (compiling, warming up),
    the seconds of a step, the time of an epoch and of the run, and what would help if that is more
    than a day. Until the first step is done a line every ``patience`` seconds, ten at most, says
    what is waited for. Later a line comes after each step that ends ``patience`` seconds after the
    last one, the logger's included.

    Args:
        patience: Seconds of silence.

    Raises:
        ValueError: If ``patience`` is not positive.
    """

    priority = 'VERY_HIGH'  # right after the step, before pictures and checkpoints

    def __init__(self, patience: float = 60.0) -> None:
        if patience <= 0:
            raise ValueError(f'patience must be positive, got {patience}')
        self.patience = patience
        self._clock = _Clock()

    def before_train(self, runner: Runner) -> None:
        """Start the clock, and the thread that speaks while nothing comes."""
        self._clock.first_step_done.set()  # of an earlier training
        self._clock = _Clock()
        if is_main_process():
            # Until the first step only, and asleep when loader workers are forked: a child never
            # finds a lock of the log taken.
            threading.Thread(
                target=self._watch, args=(runner, self._clock), name='pace', daemon=True
            ).start()

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Note when the first batch is there."""
        if self._clock.first_batch is None:
            self._clock.first_batch = self._clock.last_step = time.monotonic()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Say how long all will take, once; later, that the run goes on."""
        clock = self._clock
        clock.first_step_done.set()
        if clock.spoke is None and torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.monotonic()
        seconds = now - clock.last_step
        clock.last_step = now
        clock.steps += 1
        if clock.steps == 1:
            clock.first_seconds = seconds
        if clock.spoke is None:
            assert clock.first_batch is not None
            is_last = runner.iter + 1 == runner.max_iters
            if clock.steps == MEASURED or now - clock.first_batch > SOON or is_last:
                clock.spoke = now
                runner.logger.info(_estimate(runner, clock, seconds))
        elif _is_logged(runner, batch_idx):
            clock.spoke = now
        elif now - clock.spoke > self.patience:
            clock.spoke = now
            runner.logger.info(
                f'Step {runner.iter + 1} of {runner.max_iters} is done, {seconds:.1f} s'
            )

    def after_train(self, runner: Runner) -> None:
        """Let the thread end."""
        self._clock.first_step_done.set()

    def _watch(self, runner: Runner, clock: _Clock) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # the main thread's affair
        for _ in range(MAX_LINES):
            if clock.first_step_done.wait(self.patience):
                return
            runner.logger.info(_waiting(runner, clock))


def _waiting(runner: Runner, clock: _Clock) -> str:
    """What the first step waits for."""
    now = time.monotonic()
    if clock.first_batch is None:
        loader = runner.train_dataloader
        return (
            f'No step after {now - clock.began:.0f} s: the first batch, of {loader.batch_size} '
            f'videos with num_workers={loader.num_workers}, is not there yet. '
            'tools/analysis_tools/benchmark_loader.py shows where the time goes.'
        )
    seconds, left = now - clock.first_batch, runner.max_iters - runner.iter
    return (
        f'No step after {now - clock.began:.0f} s: the first batch came after '
        f'{clock.first_batch - clock.began:.1f} s, the first step takes {seconds:.0f} s so far'
        f'{_compiling(runner)}. If all take as long: {_durations(runner, seconds, left)}.'
        f'{_advice(seconds * left)}'
    )


def _estimate(runner: Runner, clock: _Clock, seconds: float) -> str:
    """Times measured and to come, at so many seconds a step."""
    assert clock.first_batch is not None
    left = runner.max_iters - runner.iter - 1
    more = max(clock.first_seconds - seconds, 0)
    return (
        f'The first batch came after {clock.first_batch - clock.began:.1f} s, the first step took '
        f'{clock.first_seconds:.1f} s{_compiling(runner)}'
        + (f', {more:.1f} s more than a later one' if clock.steps > 1 else '')
        + f'. {seconds:.3g} s a step: {_durations(runner, seconds, left)}, without validation.'
        + _advice(seconds * left)
    )


def _durations(runner: Runner, seconds: float, left: int) -> str:
    steps = len(runner.train_dataloader)
    epoch, rest = (timedelta(seconds=round(number * seconds)) for number in (steps, left))
    return f'an epoch of {steps} steps takes {epoch}, the {left} steps to come {rest}'


def _compiling(runner: Runner) -> str:
    return ', compiling included' if runner.cfg.get('compile') else ''


def _advice(seconds: float) -> str:
    """What would help a run of so many seconds, if that is more than a day."""
    if seconds < timedelta(days=1).total_seconds():
        return ''
    if torch.cuda.is_available():
        return ' Quicker: more GPUs (tools/dist_train.sh), a smaller model, fewer epochs.'
    return (
        ' PyTorch finds no GPU here. Quicker: a GPU, a smaller model, fewer epochs; '
        'tools/quickstart.sh trains on a CPU within minutes.'
    )


def _is_logged(runner: Runner, batch_idx: int) -> bool:
    """Whether the logger writes a line after this step."""
    return any(
        hook.every_n_inner_iters(batch_idx, hook.interval)
        or hook.end_of_epoch(runner.train_dataloader, batch_idx)
        for hook in runner.hooks
        if isinstance(hook, LoggerHook)
    )
