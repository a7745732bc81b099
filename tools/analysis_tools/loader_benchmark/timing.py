"""Times data loaders in turn, their transforms, and what their workers hold."""

import copy
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median

import psutil
from mmengine.dataset import Compose, pseudo_collate
from mmengine.utils.dl_utils import set_multi_processing
from torch.utils.data import DataLoader, Dataset, Sampler

from mmmae_st.datasets import VideoDataset

Key = tuple[int, int]  # epoch, index
TICK = 1 / os.sysconf('SC_CLK_TCK')  # in which the system counts processor time


class TimedLoader:
    """A ``DataLoader`` that reads given samples and keeps its workers.

    Args:
        dataset: Asked by (epoch, index).
        workers: Worker processes; 0 reads in this process.
        cpu_time: Count processor time of the workers in place of seconds.
    """

    def __init__(self, dataset: Dataset, workers: int, cpu_time: bool = False) -> None:
        self._cpu_time = cpu_time
        self._order = _Order()
        self._loader = DataLoader(
            dataset,
            batch_size=1,
            sampler=self._order,
            num_workers=workers,
            persistent_workers=workers > 0,
            collate_fn=pseudo_collate,
        )
        self._pids: list[int] = []

    def read(self, keys: Sequence[Key]) -> float:
        """Seconds to read one sample after another."""
        self._order.keys = keys
        others = {process.pid for process in multiprocessing.active_children()}
        spent = self._processor_seconds()
        start = time.perf_counter()
        for _ in self._loader:
            pass
        seconds = time.perf_counter() - start
        if not self._pids:  # the first reading has started the workers
            started = {process.pid for process in multiprocessing.active_children()} - others
            self._pids = sorted(pid for pid in started if pid) or [os.getpid()]
        if self._cpu_time:
            return max(self._processor_seconds() - spent, TICK)
        return seconds

    def _processor_seconds(self) -> float:
        times = [psutil.Process(pid).cpu_times() for pid in self._pids]
        return sum(time.user + time.system for time in times)

    def usage(self) -> dict[str, list]:
        """Resident memory in MiB and open file descriptors of each worker, now."""
        processes = [psutil.Process(pid) for pid in self._pids]
        return dict(
            rss_mib=[process.memory_info().rss / 2**20 for process in processes],
            descriptors=[process.num_fds() for process in processes],
        )


class _Order(Sampler):
    """Yields the keys that it was given last."""

    keys: Sequence[Key] = ()

    def __init__(self) -> None:
        pass

    def __iter__(self) -> Iterator[Key]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)


class _Timed:
    """A transform that notes its seconds."""

    def __init__(self, transform: Callable[[dict], dict]) -> None:
        self.transform = transform
        self.seconds: list[float] = []

    def __call__(self, results: dict) -> dict:
        start = time.perf_counter()
        results = self.transform(results)
        self.seconds.append(time.perf_counter() - start)
        return results


def video_keys(number: int, first: int, num_videos: int) -> list[Key]:
    """``number`` samples, from the ``first`` one on, of a pass after pass over the videos."""
    return [divmod(i, num_videos) for i in range(first, first + number)]


def one_thread() -> None:
    """Let OpenCV use one thread, as the Runner does, here and in workers forked later."""
    set_multi_processing(opencv_num_threads=0)


def time_loaders(
    loaders: dict[str, TimedLoader], num_videos: int, per_run: int, runs: int
) -> tuple[dict[str, list[float]], list[dict]]:
    """Read the same samples with each loader in turn, A B C A B C ..., other ones in each run.

    A run that is not counted comes first.

    Args:
        loaders: Name to loader.
        num_videos: Number of files.
        per_run: Samples of a run.
        runs: Counted runs.

    Returns:
        Videos per second of each counted run by name, and for the first loader what its workers
        held after each run: ``videos`` read so far, ``rss_mib``, ``descriptors``.
    """
    rates: dict[str, list[float]] = {name: [] for name in loaders}
    first = next(iter(loaders))
    held = []
    for run in range(runs + 1):
        keys = video_keys(per_run, run * per_run, num_videos)
        for name, loader in loaders.items():
            rate = per_run / loader.read(keys)
            if run:
                rates[name].append(rate)
            if name == first:
                held.append(dict(videos=(run + 1) * per_run, **loader.usage()))
    return rates, held


def summarise(rates: dict[str, list[float]], repeats: int) -> dict[str, dict]:
    """Medians over the runs, of rates and of ratios within a run.

    Args:
        rates: Videos per second of each run by name.
        repeats: Clips of a video.
    """
    ours = next(iter(rates.values()))
    theirs = rates.get('mmaction2')
    return {
        name: dict(
            videos_per_second=median(values),
            clips_per_second=repeats * median(values),
            slowest_fastest=[min(values), max(values)],
            ours_over_this=median(a / b for a, b in zip(ours, values, strict=True)),
            over_mmaction2=median(a / b for a, b in zip(values, theirs, strict=True))
            if theirs
            else None,
        )
        for name, values in rates.items()
    }


def soak(
    loader: TimedLoader, num_videos: int, number: int, first: int, points: int = 20
) -> list[dict]:
    """Read many videos with one loader.

    Args:
        loader: The loader.
        num_videos: Number of files.
        number: Videos to read.
        first: Samples that the loader has read before.
        points: How often to look at the workers.

    Returns:
        As of :func:`time_loaders`, with ``videos_per_second`` since the point before.
    """
    held = []
    ends = [number * (point + 1) // points for point in range(points)]
    for begin, end in zip([0, *ends], ends, strict=False):
        if end > begin:
            seconds = loader.read(video_keys(end - begin, first + begin, num_videos))
            usage = loader.usage()
            held.append(dict(videos=end, videos_per_second=(end - begin) / seconds, **usage))
    return held


def time_transforms(dataset: VideoDataset, keys: Sequence[Key]) -> list[dict]:
    """Where the time of a sample goes, measured in this process.

    Args:
        dataset: Its pipeline is timed.
        keys: Samples to read; the first is read once more before, and not counted.

    Returns:
        For each transform, and last for the rest: ``name``, median ``milliseconds`` of a video and
        ``share`` of the whole time.
    """
    timed = copy.copy(dataset)
    steps = [_Timed(transform) for transform in dataset.pipeline.transforms]
    timed.pipeline = Compose(steps)
    totals = []
    for key in [keys[0], *keys]:
        start = time.perf_counter()
        timed[key]
        totals.append(time.perf_counter() - start)
    rows = [(type(step.transform).__name__, step.seconds) for step in steps]
    each = zip(totals, *(seconds for _, seconds in rows), strict=True)
    rows.append(('rest', [total - sum(parts) for total, *parts in each]))
    whole = sum(totals[1:])
    return [
        dict(name=name, milliseconds=1e3 * median(values[1:]), share=sum(values[1:]) / whole)
        for name, values in rows
    ]
