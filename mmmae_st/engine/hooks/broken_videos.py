"""Keeps count of the videos that could not be read."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmmae_st.engine.runner.ending import stop_together
from mmmae_st.fileio.atomic_file import write_whole
from mmmae_st.registry import HOOKS

LIST_FILE = 'broken_videos.txt'


class TooManyBrokenVideosError(RuntimeError):
    """More videos than allowed cannot be read."""


@dataclass
class _Counts:
    """Of one epoch, validation or test, in one process; ``broken`` is known to all.

    Those tried and broken are kept by the source of a mixture that they are of, '' without one.
    """

    tried: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    broken: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    failures: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    replaced: int = 0

    def add(self, data_batch: dict) -> None:
        """Note the failures of a batch."""
        for sample in data_batch.get('data_samples', []):
            if 'failures' not in sample:
                continue
            source = sample.get('source', '')
            self.tried[source].update(hash(path) for path in (sample.path, *dict(sample.failures)))
            self.failures[source].update(sample.failures)
            self.replaced += bool(sample.failures)


@HOOKS.register_module()
class BrokenVideosHook(Hook):
    """Names each unreadable video once, counts them, and stops when there are too many.

    ``VideoDataset`` replaces such a video in training, and ``LoadClips(unreadable='blank')`` gives
    black frames for it in validation and testing; both note (path, cause) under ``failures`` of the
    data sample. Here the notes of all processes come together: each file is named once in the log
    with its cause and written to ``broken_videos.txt`` in the work directory (one
    ``path<TAB>cause`` a line; a resumed run adds to it), and the end of an epoch, of a validation
    or of a test gives the counts, of a mixture those of each source too.

    Args:
        max_share: Largest share of broken files among the videos tried in an epoch.
        min_videos: Videos tried before the share is looked at within an epoch; at the end of an
            epoch it is in any case.
        interval: Iterations between two looks.

    Raises:
        ValueError: For an impossible argument, naming it.
    """

    priority = 'BELOW_NORMAL'

    def __init__(self, max_share: float = 0.25, min_videos: int = 100, interval: int = 20) -> None:
        if not 0 <= max_share <= 1:
            raise ValueError(f'max_share must be in [0, 1], got {max_share}')
        for name, value in dict(min_videos=min_videos, interval=interval).items():
            if value < 1:
                raise ValueError(f'{name} must be at least 1, got {value}')
        self.max_share = max_share
        self.min_videos = min_videos
        self.interval = interval
        self._named: dict[str, str] = {}
        self._counts = _Counts()
        self._counts_of_training = self._counts

    def before_train(self, runner: Runner) -> None:
        """Read which files an earlier part of this run has named."""
        path = Path(runner.work_dir, LIST_FILE)
        if runner.iter > 0 and path.exists():
            lines = path.read_text(encoding='utf-8').split('\n')
            self._named = dict(line.split('\t', 1) for line in lines if '\t' in line)

    def before_train_epoch(self, runner: Runner) -> None:
        """Start the counts of the epoch."""
        self._counts = _Counts()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Note the failures of the batch; now and then, share them."""
        self._counts.add(data_batch)
        if (runner.iter + 1) % self.interval == 0:
            tried = self._share(runner)[0].total()
            if tried >= self.min_videos:
                self._check(tried)

    def after_train_epoch(self, runner: Runner) -> None:
        """Give the counts; the threshold holds for a small set too."""
        tried, replaced = self._share(runner)
        broken = self._counts.broken
        if broken:
            by_source = ', '.join(
                f'{len(broken.get(source, ()))} of {number} of {source}'
                for source, number in sorted(tried.items())
                if source
            )
            runner.logger.warning(
                f'Epoch {runner.epoch + 1}: {replaced} samples were replaced because their video '
                f'could not be read; {_number(broken)} of {tried.total()} videos tried are '
                f'broken{by_source and f" ({by_source})"}, listed in '
                f'{Path(runner.work_dir, LIST_FILE)}.'
            )
        self._check(tried.total())

    def _before_evaluation(self, runner: Runner) -> None:
        self._counts_of_training, self._counts = self._counts, _Counts()

    def _after_evaluation_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self._counts.add(data_batch)

    def _after_evaluation(self, runner: Runner, metrics: dict | None = None) -> None:
        tried, replaced = self._share(runner)
        if self._counts.broken:
            runner.logger.warning(
                f'{replaced} of {tried.total()} videos could not be read: the metrics are those of '
                f'black frames for them. They are listed in {Path(runner.work_dir, LIST_FILE)}.'
            )
        self._check(tried.total())
        self._counts = self._counts_of_training

    before_val_epoch = before_test_epoch = _before_evaluation
    after_val_iter = after_test_iter = _after_evaluation_iter
    after_val_epoch = after_test_epoch = _after_evaluation

    def _share(self, runner: Runner) -> tuple[Counter[str], int]:
        """Bring the notes of all processes together: videos tried by source, samples replaced."""
        counts = self._counts
        own_tried = {source: len(hashes) for source, hashes in counts.tried.items()}
        notes = all_gather_object((dict(counts.failures), own_tried, counts.replaced))
        counts.failures.clear()
        news: dict[str, str] = {}
        tried: Counter[str] = Counter()
        for failures, numbers, _ in notes:
            tried.update(numbers)
            for source, of_source in failures.items():
                news.update(of_source)
                if of_source:
                    counts.broken[source].update(of_source)
        unnamed = {p: cause for p, cause in news.items() if _one_line(p) not in self._named}
        self._named.update((_one_line(path), cause) for path, cause in unnamed.items())
        if unnamed and is_main_process():
            for path, cause in unnamed.items():
                runner.logger.warning(f'Cannot read {_one_line(path)}: {_one_line(cause)}')
            lines = [f'{p}\t{_one_line(cause)}\n' for p, cause in self._named.items()]
            write_whole(Path(runner.work_dir, LIST_FILE), ''.join(lines))
        return tried, sum(number for _, _, number in notes)

    def _check(self, tried: int) -> None:
        number = _number(self._counts.broken)
        if number <= self.max_share * tried:
            return
        broken = sorted(path for paths in self._counts.broken.values() for path in paths)
        paths = [_one_line(path) for path in broken[:3]]
        examples = '; '.join(f'{path} ({self._named[path]})' for path in paths)
        stop_together(
            TooManyBrokenVideosError(
                f'{number} of {tried} videos tried cannot be read, more than '
                f'max_share={self.max_share:g} of BrokenVideosHook, for example {examples}. The '
                f'list is in {LIST_FILE} of the work directory.'
            )
        )


def _number(broken: Mapping[str, set[str]]) -> int:
    return sum(map(len, broken.values()))


def _one_line(text: str) -> str:
    """Text that fits in a line of the list and can be written, whatever a file is called."""
    text = text.translate(dict.fromkeys(map(ord, '\t\r\n'), ' '))
    return text.encode('utf-8', 'backslashreplace').decode('utf-8')
