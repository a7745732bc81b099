"""Reads the events of ``torch.profiler``: what the device does, and when it waits.

An event has ``name``, ``device_type`` and ``time_range``, whose ``start`` and ``end`` are in
microseconds.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch.autograd import DeviceType

COPIES = ('Memcpy', 'Memset')
# Calls of the runtime in which the host can wait for the device.
WAITS = (
    'cudaStreamSynchronize',
    'cudaDeviceSynchronize',
    'cudaEventSynchronize',
    'cudaMemcpy',
    'cudaMalloc',
    'cudaFree',
    'cudaHostAlloc',
)


@dataclass(frozen=True)
class Gap:
    """Time in which the device does nothing.

    Attributes:
        microseconds: How long.
        after: Work that ended before.
        before: Work that begins afterwards.
    """

    microseconds: float
    after: str
    before: str


def on_device(events: Iterable[Any], device_type: DeviceType = DeviceType.CUDA) -> list[Any]:
    """Kernels and copies, by their start."""
    found = [event for event in events if event.device_type == device_type]
    # Annotations of ranges on the device cover kernels and are no work.
    work = [event for event in found if not getattr(event, 'is_user_annotation', False)]
    return sorted(work, key=lambda event: event.time_range.start)


def top_kernels(work: Sequence[Any], number: int = 10) -> list[dict[str, Any]]:
    """The most expensive kernels: name, calls, milliseconds and share of all work."""
    spent: dict[str, list[float]] = defaultdict(list)
    for event in work:
        spent[event.name].append(event.time_range.end - event.time_range.start)
    everything = sum(map(sum, spent.values())) or 1.0
    order = sorted(spent, key=lambda name: -sum(spent[name]))[:number]
    return [
        dict(
            kernel=name[:120],
            calls=len(spent[name]),
            milliseconds=sum(spent[name]) / 1e3,
            share=sum(spent[name]) / everything,
        )
        for name in order
    ]


def find_gaps(work: Sequence[Any]) -> list[Gap]:
    """Every time in which the device does nothing between its first and its last work."""
    gaps: list[Gap] = []
    last: Any = None
    for event in work:
        if last is not None and event.time_range.start > last.time_range.end:
            length = event.time_range.start - last.time_range.end
            gaps.append(Gap(length, last.name[:60], event.name[:60]))
        if last is None or event.time_range.end > last.time_range.end:
            last = event
    return gaps


def idle_share(work: Sequence[Any]) -> float:
    """Share of the time from the first work to the last in which the device does nothing."""
    if not work:
        return 0.0
    start, end = work[0].time_range.start, max(event.time_range.end for event in work)
    return sum(gap.microseconds for gap in find_gaps(work)) / max(end - start, 1e-9)


def unhidden_copies(work: Sequence[Any]) -> float:
    """Milliseconds in which the device does nothing but copy."""
    kernels = [event for event in work if not event.name.startswith(COPIES)]
    covered = _busy(work) - _busy(kernels)
    return covered / 1e3


def host_waits(events: Iterable[Any], iterations: int) -> list[dict[str, Any]]:
    """Calls in which the host can wait for the device: calls and milliseconds an iteration."""
    spent: dict[str, list[float]] = defaultdict(list)
    for event in events:
        if event.device_type == DeviceType.CPU and event.name in WAITS:
            spent[event.name].append(event.time_range.end - event.time_range.start)
    return [
        dict(
            call=name,
            calls_an_iteration=len(spent[name]) / iterations,
            milliseconds_an_iteration=sum(spent[name]) / iterations / 1e3,
        )
        for name in sorted(spent, key=lambda name: -sum(spent[name]))
    ]


def _busy(work: Sequence[Any]) -> float:
    """Microseconds covered by any of these, which are sorted by their start."""
    if not work:
        return 0.0
    span = max(event.time_range.end for event in work) - work[0].time_range.start
    return span - sum(gap.microseconds for gap in find_gaps(work))
