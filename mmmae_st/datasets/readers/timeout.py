"""A limit on how long a decoder may take."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from queue import SimpleQueue
from typing import TypeVar

from mmmae_st.datasets.readers.base import VideoReadError

Result = TypeVar('Result')
_local = threading.local()


class _Helper:
    """A daemon thread that runs functions. One for many: a thread for each call grows memory."""

    def __init__(self) -> None:
        self.pid = os.getpid()  # a forked child inherits this object but not the thread
        self.jobs: SimpleQueue = SimpleQueue()
        threading.Thread(target=self._run, name='decode', daemon=True).start()

    def _run(self) -> None:
        while True:
            function, future = self.jobs.get()
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)
            del function, future  # hold no frames while waiting


def call_with_timeout(function: Callable[[], Result], timeout: float) -> Result:
    """Call ``function`` in a helper thread and wait for it at most ``timeout`` seconds.

    Code that hangs in a C library cannot be stopped: its thread is left behind, perhaps with a busy
    core and an open file, and a new one serves the next call.

    Raises:
        VideoReadError: No result in time.
        Exception: What ``function`` raises.
    """
    helper = getattr(_local, 'helper', None)
    if helper is None or helper.pid != os.getpid():
        helper = _local.helper = _Helper()
    future: Future[Result] = Future()
    helper.jobs.put((function, future))
    try:
        return future.result(timeout)
    except FutureTimeoutError:  # not the built-in one before Python 3.11
        _local.helper = None
        raise VideoReadError(f'not decoded within {timeout} s') from None
    finally:
        del future  # it holds the error, which refers to this call: a circle, with frames in it
