"""A program whose main process is killed while its workers are at something."""

import multiprocessing
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

LIMIT = 60.0  # seconds


def kill_when(ready: Callable[[], bool], function: Callable, *args: Any) -> None:
    """Call a function in a process, kill that, and wait until its workers have ended, too."""
    process = multiprocessing.get_context('fork').Process(target=_lead, args=(function, args))
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


def _lead(function: Callable, args: tuple) -> None:
    os.setpgid(0, 0)
    function(*args)
