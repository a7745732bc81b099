"""SIGTERM and SIGINT: save, stop, and go on later with the same bits."""

import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache, partial
from pathlib import Path

import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.runner import Runner
from support import runs
from support.runs import assert_same_run, signal_at
from support.scripted import Numbers, Scripted, make_runner

from mmmae_st.engine.hooks import preemption
from mmmae_st.engine.hooks.preemption import preemptible

pytestmark = pytest.mark.slow

EPOCHS = 5
BY_EPOCH = (
    f'train_cfg.max_epochs={EPOCHS}',
    'default_hooks.checkpoint.by_epoch=True',
    'default_hooks.checkpoint.max_keep_ckpts=-1',
)


def stopped_at(run: runs.Run) -> int:
    return int(re.search(r'stopped after iteration (\d+)', run.output())[1])


# the same file name at the end of all
WHOLE = (*BY_EPOCH, 'default_hooks.checkpoint.by_epoch=False')


@pytest.fixture(scope='module')
def references(tmp_path_factory, videos) -> Callable[[int], Path]:
    """Work directory of a run of so many processes that was never stopped."""

    @cache
    def run(world_size: int) -> Path:
        folder = tmp_path_factory.mktemp('reference')
        config = runs.write_config(folder, videos)
        run = runs.start(config, folder / 'run', *WHOLE, world_size=world_size)
        assert run.wait() == [0] * world_size, run.output()
        return folder / 'run'

    return run


@pytest.fixture
def finish(references, config, tmp_path) -> Callable[..., None]:
    """Resume, and compare with a run that was never stopped."""

    def resume(world_size: int = 1) -> None:
        work_dir = tmp_path / 'run'
        run = runs.start(config, work_dir, *WHOLE, arguments=['--resume'], world_size=world_size)
        assert run.wait() == [0] * world_size, run.output()
        assert_same_run(references(world_size), work_dir, world_size, EPOCHS * 4 // world_size)

    return resume


@pytest.mark.parametrize('number, code', [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_in_mid_epoch_and_stops(config, finish, tmp_path, number, code):
    work_dir = tmp_path / 'run'
    saboteur = partial(signal_at, number, 5, group=True)  # as Ctrl-C and srun do
    options = (*BY_EPOCH, 'train_dataloader.num_workers=1')
    run = runs.start(config, work_dir, *options, saboteur=saboteur)
    assert run.wait() == [code], run.output()
    step = stopped_at(run)
    assert step == 6 and f'Exit code {code}' in run.output()
    assert (work_dir / 'last_checkpoint').read_text() == str(work_dir / f'iter_{step}.pth')
    assert torch.load(work_dir / f'iter_{step}.pth', weights_only=True)['meta']['iter'] == step
    assert 'Traceback' not in run.output()
    if number == signal.SIGTERM:
        finish()


def test_a_signal_to_one_process_stops_both(config, finish, tmp_path):
    work_dir = tmp_path / 'run'
    saboteur = partial(signal_at, signal.SIGTERM, 2, rank=1)
    run = runs.start(config, work_dir, *BY_EPOCH, world_size=2, saboteur=saboteur)
    assert run.wait() == [143, 143], run.output()
    finish(2)


def stop_before_validation() -> None:
    """Saboteur: SIGTERM to itself between an epoch and its validation."""
    from mmengine.runner import EpochBasedTrainLoop

    def signalled(self):
        os.kill(os.getpid(), signal.SIGTERM)

    EpochBasedTrainLoop._decide_current_val_interval = signalled


@pytest.mark.parametrize('interval', [1, 3])
def test_a_signal_between_an_epoch_and_its_validation(config, finish, tmp_path, interval):
    """With a checkpoint of the epoch already there, and without."""
    work_dir = tmp_path / 'run'
    options = (*BY_EPOCH, f'default_hooks.checkpoint.interval={interval}')
    run = runs.start(config, work_dir, *options, saboteur=stop_before_validation)
    assert run.wait() == [143], run.output()
    assert stopped_at(run) == 4
    name = 'epoch_1.pth' if interval == 1 else 'iter_4.pth'
    assert [path.name for path in work_dir.glob('*.pth')] == [name]
    if interval == 3:
        finish()


def stop_in_validation(rank: str = '0') -> None:
    """Saboteur: SIGTERM to itself in the first validation."""
    from mmengine.runner import ValLoop

    step = ValLoop.run_iter

    def signalled(self, idx, data_batch):
        if idx == 0 and os.environ['RANK'] == rank:
            os.kill(os.getpid(), signal.SIGTERM)
        step(self, idx, data_batch)

    ValLoop.run_iter = signalled


@pytest.mark.parametrize('interval', [1, 3])
def test_a_signal_in_validation_leaves_it_and_nothing_is_lost(config, finish, tmp_path, interval):
    work_dir = tmp_path / 'run'
    options = (*BY_EPOCH, f'default_hooks.checkpoint.interval={interval}')
    run = runs.start(config, work_dir, *options, saboteur=stop_in_validation)
    assert run.wait() == [143], run.output()
    assert stopped_at(run) == 4
    name = 'epoch_1.pth' if interval == 1 else 'iter_4.pth'
    assert [path.name for path in work_dir.glob('*.pth')] == [name]
    assert 'held_out' not in run.output().split('Epoch(val)')[-1]
    if interval == 3:
        finish()


@pytest.mark.parametrize('videos_of_first', [1, 4])
def test_a_signal_to_one_process_in_validation_stops_both(config, tmp_path, videos_of_first):
    """Also when the other process has more batches to come."""
    options = [*BY_EPOCH, 'default_hooks.checkpoint.interval=3', 'val_dataloader.batch_size=1']
    if videos_of_first == 4:
        options += [
            'val_dataloader.dataset.data_prefix.video=train',
            'val_dataloader.dataset.indices=7',
            'val_dataloader.sampler.round_up=False',
        ]
    saboteur = partial(stop_in_validation, '1')
    run = runs.start(config, tmp_path / 'run', *options, world_size=2, saboteur=saboteur)
    assert run.wait() == [143, 143], run.output()
    assert stopped_at(run) == 2


def test_accumulated_gradients_are_used_before_it_stops(config, tmp_path):
    options = (*BY_EPOCH, 'optim_wrapper.accumulative_counts=4')
    saboteur = partial(signal_at, signal.SIGTERM, 5)
    run = runs.start(config, tmp_path / 'run', *options, saboteur=saboteur)
    assert run.wait() == [143], run.output()
    assert stopped_at(run) % 4 == 0


def make_preemptible(folder: Path, *args, **kwargs) -> Runner:
    hooks = dict(checkpoint=dict(type='SafeCheckpointHook'), preemption=dict(type='PreemptionHook'))
    return make_runner(folder, *args, hooks=hooks, **kwargs)


def handlers() -> list:
    return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]


class Handlers(Hook):
    """What the handlers were during training."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen = handlers()


def test_it_needs_our_checkpoint_hook(tmp_path):
    hooks = dict(checkpoint=dict(type='CheckpointHook'), preemption=dict(type='PreemptionHook'))
    with pytest.raises(ValueError, match='SafeCheckpointHook'):
        make_runner(tmp_path, hooks=hooks).train()


@pytest.mark.parametrize('block', [preemptible, nullcontext])
def test_handlers_are_set_within_the_block_and_given_back(tmp_path, block):
    before = handlers()
    runner = make_preemptible(tmp_path)
    runner.register_hook(during := Handlers())
    with block(runner):
        runner.train()
    assert (during.seen != before) == (block is preemptible)
    assert handlers() == before


def test_after_an_error_the_signals_do_what_they_did(tmp_path):
    """As in a notebook, where the process goes on."""

    def fail(step):
        raise ZeroDivisionError

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    try:
        runner = make_preemptible(tmp_path, fail)
        with pytest.raises(ZeroDivisionError), preemptible(runner):
            runner.train()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


class Predicts(Scripted):
    """For a validation."""

    def forward(self, inputs, data_samples, mode='tensor'):
        return data_samples if mode == 'predict' else super().forward(inputs, data_samples, mode)


class Count(BaseMetric):
    """How many samples there were."""

    def process(self, data_batch, data_samples):
        self.results.append(None)

    def compute_metrics(self, results):
        return dict(samples=len(results))


class ForksOften(Count):
    """As mmaction2's metric for AVA, makes processes and terminates them at once."""

    def compute_metrics(self, results):
        self.handlers, self.codes = handlers(), []
        for _ in range(10):
            process = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,))
            process.start()
            process.terminate()  # before it has begun
            process.join(60)
            self.codes.append(process.exitcode)
            process.kill()
        return dict(forked=len(self.codes))


def test_forked_processes_of_a_metric_end_at_a_signal(tmp_path):
    before = handlers()
    metric = ForksOften(prefix='forks')
    loader = dict(
        batch_size=1, num_workers=0, dataset=Numbers(2), sampler=dict(type='EpochSampler')
    )
    runner = make_preemptible(
        tmp_path, model=Predicts(lambda step: 1.0), val_dataloader=loader,
        val_cfg=dict(type='ValLoop'), val_evaluator=Evaluator(metric), epochs=2,
    )  # fmt: skip
    runner.register_hook(during := Handlers())
    with preemptible(runner):
        runner.train()
    assert metric.handlers == before != during.seen  # training goes on listening
    assert set(metric.codes) == {-signal.SIGTERM}


def test_processes_do_not_wait_for_the_iteration_just_made(tmp_path, monkeypatch):
    """What they agree on is read after the next one, and before a validation."""
    runner = make_preemptible(
        tmp_path, model=Predicts(lambda step: 1.0), iters=3,
        val_dataloader=dict(batch_size=1, dataset=Numbers(2), sampler=dict(type='EpochSampler')),
        val_cfg=dict(type='ValLoop'), val_evaluator=Evaluator(Count(prefix='count')),
    )  # fmt: skip
    monkeypatch.setattr(preemption, 'get_world_size', lambda: 2)
    log = []

    class Noted(preemption.SentScalars):
        def __init__(self, scalars):
            super().__init__(scalars)
            self.number = sum(line.startswith('sent') for line in log)
            log.append(f'sent {self.number}')

        def read(self):
            log.append(f'read {self.number}')
            return super().read()

    monkeypatch.setattr(preemption, 'SentScalars', Noted)
    with preemptible(runner):
        runner.train()
    training = ['sent 0', 'sent 1', 'read 0', 'sent 2', 'read 1']
    validation = ['sent 3', 'read 2', 'read 3', 'sent 4', 'sent 5', 'read 4', 'read 5']
    assert log == [*training, *validation]
