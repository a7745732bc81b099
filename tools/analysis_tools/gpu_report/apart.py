"""Functions in processes of their own: they may hang, crash, or spoil the state of a GPU."""

import ctypes
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

# Forked, since importing takes seconds. The parent must not have touched the GPU.
_contexts = {name: multiprocessing.get_context(name) for name in ('fork', 'spawn')}
method = 'fork'
PR_SET_PDEATHSIG = 1
TOUCH_LIMIT = 60.0
TICK = 0.1  # seconds between two looks


def choose_method(device: str, log: Path) -> str:
    """Fork, unless a forked process cannot use the device: then each imports everything anew."""
    global method
    method = 'fork'
    if run_apart(partial(_touch, device), TOUCH_LIMIT, log) != 'done':
        method = 'spawn'
    return method


def run_apart(
    function: Callable[[], None],
    seconds: float,
    log: Path,
    on_tick: Callable[[], bool] = lambda: False,
) -> str:
    """Run a function in a process of its own, and end all that it leaves behind.

    Args:
        function: What to run.
        seconds: Time limit.
        log: Gets what it prints, and the traceback.
        on_tick: Called now and then; the process is killed when it returns True.

    Returns:
        ``'done'``, ``'failed'``, ``'out of time'`` or ``'stopped'`` (by ``on_tick``).
    """
    end = time.monotonic() + seconds
    process = _contexts[method].Process(target=_inside, args=(function, str(log)))
    process.start()
    try:
        while process.is_alive():
            if time.monotonic() > end:
                return 'out of time'
            process.join(TICK)
            if on_tick():
                return 'stopped'
    finally:
        end_group(process.pid)
        if process.is_alive():
            process.kill()
        process.join()
    return 'done' if process.exitcode == 0 else 'failed'


def end_group(pid: int | None) -> None:
    """Kill the processes of a group; its leader may have ended before them."""
    assert pid is not None
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _touch(device: str) -> None:
    import torch

    torch.ones(1, device=device).item()


def _inside(function: Callable[[], None], log: str) -> None:
    os.setsid()
    # A process that is run apart from one of these would outlive it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    sys.stdout = sys.stderr = open(log, 'a', buffering=1)  # noqa: SIM115  open until the end
    for descriptor in (1, 2):
        os.dup2(sys.stdout.fileno(), descriptor)
    try:
        function()
    except BaseException as error:
        if not (isinstance(error, SystemExit) and error.code in (0, None)):
            traceback.print_exc()
            sys.stdout.flush()
            os._exit(1)
    sys.stdout.flush()
    os._exit(0)
