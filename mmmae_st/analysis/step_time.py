"""Times one training step against what the machine can multiply, in the same minutes."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch import nn


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


def peak_memory(function: Callable[[], object], device: torch.device) -> int | None:
    """Bytes that a call needs at its peak, above what is held before it; None on a CPU."""
    if device.type != 'cuda':
        return None
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    function()
    return torch.cuda.max_memory_allocated(device) - before


def kept_bytes(forward: Callable[[], object], model: nn.Module) -> int:
    """Bytes that a forward pass keeps for the backward pass: distinct storages, without weights.

    Args:
        forward: Runs the model and returns what depends on it, which is not used.
        model: Its parameters and buffers are not counted.
    """
    held = {
        tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())
    }
    kept: dict[int, torch.UntypedStorage] = {}  # holding them keeps their addresses apart

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in held:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        forward()
    return sum(storage.nbytes() for storage in kept.values())


def _wait(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
