"""A program whose main process is killed while its workers are at something."""

import multiprocessing
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

LIMIT = 60.0  # seconds


def kill_when(ready: Callable[[], bool], function: Callable, *args: Any) -> None:
    """Call a function in a process, kill that, and wait until its workers have ended, too.

    From that moment until the kill no file is put in its place, or all could be done before.
    """
    process = multiprocessing.get_context('fork').Process(
        target=_lead, args=(ready, function, args)
    )
    process.start()
    wait_until(ready, 'the function is at work')
    process.kill()
    process.join()
    with suppress(ProcessLookupError):
        wait_until(lambda: os.killpg(process.pid, 0), 'the workers have ended')


def wait_until(ready: Callable[[], object], what: str) -> None:
    end = time.monotonic() + LIMIT
    while not ready():
        assert time.monotonic() < end, f'not within {LIMIT:.0f} s: {what}'
        time.sleep(0.001)


def _lead(ready: Callable[[], bool], function: Callable, args: tuple) -> None:
    os.setpgid(0, 0)
    leader, replace = os.getpid(), os.replace

    def held(*names: Any) -> None:
        while ready() and leader in (os.getpid(), os.getppid()):
            time.sleep(0.01)
        replace(*names)

    os.replace = held
    function(*args)
