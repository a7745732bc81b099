"""What the tools of this folder share: worker processes, files written whole, file lists."""

import argparse
import glob
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from mmengine.utils import ProgressBar


@dataclass(frozen=True)
class Outcome:
    """What became of one task: its value, or the cause of its failure in one line."""

    task: Any
    value: Any = None
    error: str | None = None


class _Worker:
    """A process that works off one task at a time and can be killed while it does."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.connection, remote = multiprocessing.Pipe()
        self.process = multiprocessing.Process(
            target=_serve, args=(function, remote, self.connection), daemon=True
        )
        self.process.start()
        remote.close()  # ours is the only other end: a crash of the process closes the pipe
        self.task: Any = None
        self.deadline = 0.0

    def give(self, task: Any, timeout: float) -> None:
        self.task = task
        self.deadline = time.monotonic() + timeout
        self.connection.send(task)

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def _serve(function: Callable[[Any], Any], connection: Connection, other_end: Connection) -> None:
    other_end.close()  # a forked copy: open, it would hide the death of the parent
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            answer: tuple[Any, str | None] = (function(task), None)
        except Exception as error:  # a file can fail in any way
            answer = (None, in_one_line(error))
        try:
            connection.send(answer)
        except BrokenPipeError:  # the parent was killed
            return


def in_one_line(error: Exception) -> str:
    """What an exception says, with its kind unless it is one of ours."""
    text = ' '.join(str(getattr(error, 'strerror', None) or error).split())
    if type(error) is ValueError and text:
        return text
    return f'{type(error).__name__}: {text}'


def run_parallel(
    function: Callable[[Any], Any], tasks: Sequence[Any], workers: int, timeout: float
) -> Iterator[Outcome]:
    """Apply a function to every task in worker processes, showing a progress bar.

    A task that raises, crashes its process or takes too long fails alone; its worker is replaced.

    Args:
        function: Takes a task; both must be picklable.
        tasks: The tasks.
        workers: Number of processes.
        timeout: Seconds after which a task is given up.

    Yields:
        One outcome a task, in the order they finish.
    """
    if not tasks:
        return
    waiting = deque(tasks)
    pool = [_Worker(function) for _ in range(min(workers, len(tasks)))]
    idle = list(pool)
    busy: list[_Worker] = []
    bar = ProgressBar(len(tasks), file=sys.stderr)
    try:
        while waiting or busy:
            while waiting and idle:
                worker = idle.pop()
                worker.give(waiting.popleft(), timeout)
                busy.append(worker)
            patience = min(worker.deadline for worker in busy) - time.monotonic()
            ready = wait([worker.connection for worker in busy], max(patience, 0))
            for worker in list(busy):
                task = worker.task
                if worker.connection in ready:
                    try:
                        outcome = Outcome(task, *worker.connection.recv())
                    except (EOFError, ConnectionResetError):
                        worker.process.join()
                        cause = f'crashed its process (exit code {worker.process.exitcode})'
                        outcome = Outcome(task, error=cause)
                elif time.monotonic() >= worker.deadline:
                    outcome = Outcome(task, error=f'gave no answer within {timeout:g} seconds')
                else:
                    continue
                busy.remove(worker)
                if worker.connection not in ready or not worker.process.is_alive():
                    worker.stop()
                    pool.remove(worker)
                    worker = _Worker(function)
                    pool.append(worker)
                idle.append(worker)
                bar.update()
                yield outcome
    finally:
        for worker in pool:
            worker.stop()
        print(file=sys.stderr)  # ends the line of the progress bar


def partial_path(path: str) -> str:
    """A name beside ``path`` for this process to write to, hidden and with the same extension.

    What interrupted processes have left for this ``path`` is removed.
    """
    folder, name = os.path.split(path)
    stem, extension = os.path.splitext(name)
    os.makedirs(folder or '.', exist_ok=True)
    beginning = os.path.join(folder, f'.{stem}.partial')
    for left in glob.glob(f'{glob.escape(beginning)}*{glob.escape(extension)}'):
        if os.path.isdir(left):
            shutil.rmtree(left)
        else:
            os.remove(left)
    return f'{beginning}{os.getpid()}{extension}'


@contextmanager
def written_whole(path: str) -> Iterator[str]:
    """A temporary name beside ``path`` to write to; it becomes ``path`` when all went well.

    An interruption leaves ``path`` as it was.
    """
    temporary = partial_path(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def write_lines(path: str, lines: Iterable[str]) -> None:
    """Write a text file whole, one line each."""
    with written_whole(path) as temporary, open(temporary, 'w', encoding='utf-8') as file:
        file.writelines(f'{line}\n' for line in lines)


def write_failures(folder: str, lines: list[str]) -> None:
    """Write ``failed.txt`` to a folder, or remove that of a run before when nothing failed."""
    path = os.path.join(folder, 'failed.txt')
    if lines:
        write_lines(path, sorted(lines))
        print(f'what failed and why: {path}')
    elif os.path.exists(path):
        os.remove(path)


def add_parallel_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``run_parallel`` for a command line."""
    parser.add_argument('--workers', type=positive, default=os.cpu_count(), help='processes')
    parser.add_argument(
        '--timeout', type=float, default=600, help='seconds after which a video is given up'
    )


def positive(text: str) -> int:
    """An integer of at least 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, got {number}')
    return number
