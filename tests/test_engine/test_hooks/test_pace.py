"""How long a run will take; what it waits for."""

import os
import re
import signal
import threading
import time
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import LoggerHook
from support.scripted import Numbers, make_runner

from mmmae_st.engine.hooks import pace
from mmmae_st.engine.hooks.pace import PaceHook


class Clock:
    """A time that the test sets."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(pace, 'time', clock)
    return clock


def steps(clock, seconds, **runner_args):
    """Lines of a run of 1000 epochs of 10 steps that last as long as ``seconds`` says."""
    said = []
    runner = SimpleNamespace(
        logger=SimpleNamespace(info=said.append), max_iters=10_000, hooks=[], cfg={},
        train_dataloader=range(10),
    )  # fmt: skip
    runner.__dict__.update(runner_args)
    hook = PaceHook()
    hook._clock = pace._Clock(began=0.0)
    clock.now = 3.0
    for runner.iter, duration in enumerate(seconds):
        hook.before_train_iter(runner, runner.iter % 10)
        clock.now += duration
        hook.after_train_iter(runner, runner.iter % 10)
    return said


def test_after_the_first_steps_times_are_told(clock):
    (line,) = steps(clock, [9.0, 2.0, 2.0, 1.5, 7.0], cfg=dict(compile=True))
    assert line == (
        'The first batch came after 3.0 s, the first step took 9.0 s, compiling included, 7.5 s '
        'more than a later one. 1.5 s a step: an epoch of 10 steps takes 0:00:15, the 9996 steps '
        'to come 4:09:54, without validation.'
    )


def test_a_slow_machine_is_told_after_the_first_step_with_what_would_help(clock, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    (line,) = steps(clock, [26.0, 25.0])
    assert 'the first step took 26.0 s. 26 s a step: an epoch of 10 steps takes 0:04:20' in line
    assert 'the 9999 steps to come 3 days, 0:12:54' in line
    assert 'no GPU' in line and 'tools/quickstart.sh' in line


def test_a_run_of_fewer_steps_is_told_too(clock):
    (line,) = steps(clock, [1.0, 1.0], max_iters=2)
    assert 'the 0 steps to come 0:00:00' in line


def test_slow_steps_do_not_pass_in_silence(clock):
    said = steps(clock, [40.0] * 8)
    assert said[1:] == [f'Step {i} of 10000 is done, 40.0 s' for i in (3, 5, 7)]
    assert len(steps(clock, [40.0] * 8, hooks=[LoggerHook(interval=2)])) == 1
    said = steps(clock, [40.0] * 11, hooks=[LoggerHook(interval=100)])  # it logs the 10th
    assert [line.split()[1] for line in said[1:]] == ['3', '5', '7', '9']


def lines_of(tmp_path, said, hook, **args):
    """Write down what is said by a real run, and by which thread."""
    runner = make_runner(tmp_path, hooks=dict(checkpoint=None, pace=hook), **args)
    runner.logger.info = lambda text: said.append((threading.current_thread().name, text))
    runner.train()


def until_said(said, text, times):
    end = time.monotonic() + 60
    while sum(text in line for _, line in said) < times:
        assert time.monotonic() < end, said
        time.sleep(0.01)


def test_a_first_step_that_does_not_end_is_spoken_of(tmp_path, monkeypatch):
    monkeypatch.setattr(pace, 'MAX_LINES', 10**6)
    began, took, said = time.monotonic(), [], []

    def slow(step):
        if step == 0:
            until_said(said, 'the first step takes', times=2)
        took.append(time.monotonic() - began)
        return 1.0

    before = set(threading.enumerate())
    lines_of(tmp_path, said, PaceHook(patience=0.1), losses=slow)
    waiting = [text for thread, text in said if thread == 'pace']
    assert 2 <= len(waiting) <= took[0] / 0.1 + 2
    assert re.match(
        r'No step after \d+ s: the first batch came after \d+\.\d s, .* so far', waiting[-1]
    )
    assert 'an epoch of 10 steps takes' in waiting[-1]
    for thread in set(threading.enumerate()) - before:
        if thread.name == 'pace':
            thread.join(timeout=5)
            assert not thread.is_alive()


def test_a_first_batch_that_does_not_come_is_told_apart(tmp_path):
    said = []

    class SlowNumbers(Numbers):
        def __getitem__(self, index):
            until_said(said, '', times=1)
            return super().__getitem__(index)

    lines_of(tmp_path, said, PaceHook(patience=0.1), dataset=SlowNumbers(1))
    thread, text = said[0]
    assert thread == 'pace' and 'the first batch, of 1 videos with num_workers=0, is not' in text


def test_it_speaks_ten_times_at_most_when_training_fails(tmp_path):
    def fail(step):
        raise ZeroDivisionError

    runner = make_runner(tmp_path, fail, hooks=dict(checkpoint=None, pace=PaceHook(patience=0.01)))
    said = []
    runner.logger.info = said.append
    before = set(threading.enumerate())
    with pytest.raises(ZeroDivisionError):
        runner.train()
    (thread,) = [new for new in set(threading.enumerate()) - before if new.name == 'pace']
    thread.join(5)
    assert not thread.is_alive() and len(said) <= pace.MAX_LINES


def test_signals_go_to_the_main_thread_and_workers_are_forked(tmp_path):
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.append(threading.current_thread().name))
    try:

        def signalled(step):
            os.kill(os.getpid(), signal.SIGUSR1)
            return 1.0

        hook = PaceHook(patience=0.01)
        runner = make_runner(
            tmp_path, signalled, iters=3, hooks=dict(checkpoint=None, pace=hook), num_workers=2
        )
        runner.train()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert heard == ['MainThread'] * 3


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match='patience must be positive, got 0'):
        PaceHook(patience=0)
