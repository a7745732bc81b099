"""A function over many videos, in worker processes that may crash."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, TimeoutError, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pebble import ProcessExpired, ProcessPool
from tqdm import tqdm

from mmmae_st.datasets.readers import VideoReadError

FORK = multiprocessing.get_context('fork')  # no longer the default of Python 3.14


@dataclass(frozen=True)
class Outcome:
    """What became of one task: its value, or the cause of its failure in one line."""

    task: Any
    value: Any = None
    error: str | None = None


def in_one_line(error: Exception) -> str:
    """What an exception says, with its kind unless it is one of ours."""
    text = ' '.join(str(getattr(error, 'strerror', None) or error).split())
    if text and (type(error) is ValueError or isinstance(error, VideoReadError)):
        return text
    return f'{type(error).__name__}: {text}'


def usable_cores() -> int:
    """Cores that this process may use; all of them where the system does not say, as on macOS."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def progress(total: int, name: str | None = None, unit: str = 'video') -> tqdm:
    """A bar; in a file a line every ten seconds, and none of what takes less."""
    pause = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(total=total, desc=name, unit=unit, mininterval=pause, delay=pause)


def run_parallel(
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    workers: int,
    timeout: float | None,
    initializer: Callable[..., None] | None = None,
    initargs: Sequence[Any] = (),
    context: Any = FORK,
) -> Iterator[Outcome]:
    """Apply a function to every task in worker processes, showing a progress bar.

    A task that raises, crashes its process or takes too long fails alone; its worker is replaced.

    Args:
        function: Takes a task; both must be picklable.
        tasks: The tasks.
        workers: Number of processes.
        timeout: Seconds after which a task is given up; None for no limit.
        initializer: Called once in each process.
        initargs: Its arguments.
        context: How processes are started; copies of this one by default, which are there at once.

    Yields:
        One outcome a task, in the order they finish.
    """
    if not tasks:
        return
    waiting = iter(tasks)
    running: dict[Future, Any] = {}
    bar = progress(len(tasks))
    pool = ProcessPool(
        max_workers=min(workers, len(tasks)),
        initializer=initializer,
        initargs=list(initargs),
        context=context,
    )
    try:
        while True:
            for task in islice(waiting, 2 * workers - len(running)):
                running[pool.schedule(function, args=[task], timeout=timeout)] = task
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                bar.update()
                yield _outcome(running.pop(future), future, timeout)
    finally:
        pool.stop()
        pool.join()
        bar.close()


def _outcome(task: Any, future: Future, timeout: float | None) -> Outcome:
    try:
        return Outcome(task, future.result())
    except TimeoutError:
        cause = f'gave no answer within {timeout:g} seconds'
    except ProcessExpired as error:
        cause = f'crashed its process (exit code {error.exitcode})'
    except Exception as error:  # a file can fail in any way
        cause = in_one_line(error)
    return Outcome(task, error=cause)
