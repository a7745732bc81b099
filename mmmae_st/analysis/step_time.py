"""Times one training step against what the machine can multiply, in the same minutes."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import psutil
import torch


@dataclass(frozen=True)
class Timing:
    """Seconds of repeated calls.

    Attributes:
        seconds: One figure a call, in order.
    """

    seconds: list[float]

    @property
    def median(self) -> float:
        """Median seconds of a call."""
        return median(self.seconds)

    @property
    def spread(self) -> tuple[float, float]:
        """Fastest and slowest call, in seconds."""
        return min(self.seconds), max(self.seconds)


def time_in_turn(
    functions: dict[str, Callable[[], object]], device: torch.device, runs: int, warmup: int
) -> dict[str, Timing]:
    """Call each function in turn, A B C A B C ..., so that all meet the same machine.

    Args:
        functions: What to time, by name.
        device: Where they work; a GPU is waited for.
        runs: Counted calls of each.
        warmup: Calls of each that are not counted, first.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for i in range(warmup + runs):
        for name, function in functions.items():
            _wait(device)
            start = time.perf_counter()
            function()
            _wait(device)
            if i >= warmup:
                seconds[name].append(time.perf_counter() - start)
    return {name: Timing(values) for name, values in seconds.items()}


def matmul(device: torch.device, dtype: torch.dtype) -> tuple[Callable[[], object], int]:
    """A large square matrix product and its multiply-adds: the ceiling of any step."""
    size = 8192 if device.type == 'cuda' else 3072
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    return lambda: a @ b, size**3


def peak_memory(function: Callable[[], object], device: torch.device) -> int:
    """Bytes that a call needs at its peak, above what is held before it.

    On a GPU as its allocator counts; on a CPU the growth of the process, looked at every
    millisecond.
    """
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        function()
        return torch.cuda.max_memory_allocated(device) - before

    process, peak, stop = psutil.Process(), [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.001):
            peak[0] = max(peak[0], process.memory_info().rss)

    before = process.memory_info().rss
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        function()
    finally:
        stop.set()
        thread.join()
    return max(peak[0] - before, 0)


def _wait(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
