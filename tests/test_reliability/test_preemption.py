"""SIGTERM and SIGINT: save, stop, and go on later with the same bits."""

import multiprocessing
import os
import re
import signal
import time
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from support import runs
from support.runs import assert_same_run, wait_for_iteration
from support.scripted import make_runner

from mmmae_st.engine import PreemptionHook

EPOCHS = 5
BY_EPOCH = (
    f'train_cfg.max_epochs={EPOCHS}',
    'default_hooks.checkpoint.by_epoch=True',
    'default_hooks.checkpoint.max_keep_ckpts=-1',
)


def stopped_at(run: runs.Run) -> int:
    return int(re.search(r'stopped after iteration (\d+)', run.output())[1])


def finish(config: Path, folder: Path, world_size: int = 1, *options: str) -> None:
    """Resume, run a reference and compare; checkpoints by epoch, but the last by iteration."""
    last = EPOCHS * 4 // world_size
    # the same file name at the end of both runs
    options = (*BY_EPOCH, *options, 'default_hooks.checkpoint.by_epoch=False')
    both = [
        runs.start(config, folder / name, *options, arguments=arguments, world_size=world_size)
        for name, arguments in (('run', ['--resume']), ('reference', []))
    ]
    for run in both:
        assert run.wait() == [0] * world_size, run.output()
    assert_same_run(folder / 'reference', folder / 'run', world_size, last)


@pytest.mark.parametrize('number, code', [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_in_mid_epoch_and_stops(config, tmp_path, number, code):
    work_dir = tmp_path / 'run'
    run = runs.start(config, work_dir, *BY_EPOCH, 'train_dataloader.num_workers=1')
    wait_for_iteration(work_dir, 5)
    os.killpg(run.processes[0].pid, number)  # as Ctrl-C and srun do: loader workers as well
    assert run.wait() == [code], run.output()
    step = stopped_at(run)
    assert 5 <= step < EPOCHS * 4 and f'Exit code {code}' in run.output()
    assert (work_dir / 'last_checkpoint').read_text() == str(work_dir / f'iter_{step}.pth')
    assert torch.load(work_dir / f'iter_{step}.pth', weights_only=True)['meta']['iter'] == step
    assert 'Traceback' not in run.output()
    if number == signal.SIGTERM:
        finish(config, tmp_path)


def test_a_signal_to_one_process_stops_both(config, tmp_path):
    work_dir = tmp_path / 'run'
    run = runs.start(config, work_dir, *BY_EPOCH, world_size=2)
    wait_for_iteration(work_dir, 2)
    os.kill(run.processes[1].pid, signal.SIGTERM)
    assert run.wait() == [143, 143], run.output()
    finish(config, tmp_path, 2)


def stop_in_validation() -> None:
    """Saboteur: SIGTERM to itself in the first validation."""
    from mmengine.runner import ValLoop

    run_iter = ValLoop.run_iter

    def signalled(self, idx, data_batch):
        os.kill(os.getpid(), signal.SIGTERM)
        run_iter(self, idx, data_batch)

    ValLoop.run_iter = signalled


@pytest.mark.parametrize('interval', [1, 3])
def test_a_signal_in_validation_ends_it(config, tmp_path, interval):
    """With a checkpoint of the epoch already there, and without."""
    work_dir = tmp_path / 'run'
    options = (*BY_EPOCH, f'default_hooks.checkpoint.interval={interval}')
    run = runs.start(config, work_dir, *options, saboteur=stop_in_validation)
    assert run.wait() == [143], run.output()
    assert stopped_at(run) == 4
    name = 'epoch_1.pth' if interval == 1 else 'iter_4.pth'
    assert [path.name for path in work_dir.glob('*.pth')] == [name]
    if interval == 3:
        finish(config, tmp_path)


def test_accumulated_gradients_are_used_before_it_stops(config, tmp_path):
    options = ('optim_wrapper.accumulative_counts=4',)
    run = runs.start(config, tmp_path / 'run', *BY_EPOCH, *options)
    wait_for_iteration(tmp_path / 'run', 5)
    run.kill(signal.SIGTERM)
    assert run.wait() == [143], run.output()
    assert stopped_at(run) % 4 == 0


def test_it_needs_our_checkpoint_hook(tmp_path):
    hooks = dict(checkpoint=dict(type='CheckpointHook'), preemption=dict(type='PreemptionHook'))
    with pytest.raises(ValueError, match='SafeCheckpointHook'):
        make_runner(tmp_path, hooks=hooks).train()


def test_handlers_are_given_back(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    hooks = dict(checkpoint=dict(type='SafeCheckpointHook'), preemption=dict(type='PreemptionHook'))
    make_runner(tmp_path, hooks=hooks).train()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_after_an_error_the_signals_do_what_they_did(tmp_path):
    """As in a notebook, where the process goes on."""
    hooks = dict(checkpoint=dict(type='SafeCheckpointHook'), preemption=dict(type='PreemptionHook'))

    def fail(step):
        raise ZeroDivisionError

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    try:
        with pytest.raises(ZeroDivisionError):
            make_runner(tmp_path, fail, hooks=hooks).train()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_forked_processes_end_at_a_signal(tmp_path):
    """As the pool that mmaction2's metric for AVA makes and terminates at once, during a run."""

    class ForksOften(Hook):
        def after_train(self, runner):
            self.codes = []
            for _ in range(30):
                process = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,))
                process.start()
                process.terminate()  # before it has begun
                process.join(5)
                self.codes.append(process.exitcode)
                process.kill()
            self.handler = signal.getsignal(signal.SIGTERM).__self__

    preemption = PreemptionHook()
    hooks = dict(checkpoint=dict(type='SafeCheckpointHook'), preemption=preemption)
    runner = make_runner(tmp_path, hooks=hooks)
    runner.register_hook(forks := ForksOften(), priority='VERY_HIGH')
    runner.train()
    assert forks.handler is preemption  # it was listening
    assert set(forks.codes) == {-signal.SIGTERM}
