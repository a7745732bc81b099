"""Keeps count of the videos that could not be read."""

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
    """Of one epoch, validation or test, in one process; ``broken`` is known to all."""

    tried: set[int] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    failures: dict[str, str] = field(default_factory=dict)
    replaced: int = 0

    def add(self, data_batch: dict) -> None:
        """Note the failures of a batch."""
        for sample in data_batch.get('data_samples', []):
            if 'failures' not in sample:
                continue
            self.tried.update(hash(path) for path in (sample.path, *dict(sample.failures)))
            self.failures.update(sample.failures)
            self.replaced += bool(sample.failures)


@HOOKS.register_module()
class BrokenVideosHook(Hook):
    """Names each unreadable video once, counts them, and stops when there are too many.

    ``VideoDataset`` replaces such a video in training, and ``LoadClips(unreadable='blank')`` gives
    black frames for it in validation and testing; both note (path, cause) under ``failures`` of the
    data sample. Here the notes of all processes come together: each file is named once in the log
    with its cause and written to ``broken_videos.txt`` in the work directory (one
    ``path<TAB>cause`` a line; a resumed run adds to it), and the end of an epoch, of a validation
    or of a test gives the counts.

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
            tried, _ = self._share(runner)
            if tried >= self.min_videos:
                self._check(tried)

    def after_train_epoch(self, runner: Runner) -> None:
        """Give the counts; the threshold holds for a small set too."""
        tried, replaced = self._share(runner)
        if self._counts.broken:
            runner.logger.warning(
                f'Epoch {runner.epoch + 1}: {replaced} samples were replaced because their video '
                f'could not be read; {len(self._counts.broken)} of {tried} videos tried are '
                f'broken, listed in {Path(runner.work_dir, LIST_FILE)}.'
            )
        self._check(tried)

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
                f'{replaced} of {tried} videos could not be read: the metrics are those of black '
                f'frames for them. They are listed in {Path(runner.work_dir, LIST_FILE)}.'
            )
        self._check(tried)
        self._counts = self._counts_of_training

    before_val_epoch = before_test_epoch = _before_evaluation
    after_val_iter = after_test_iter = _after_evaluation_iter
    after_val_epoch = after_test_epoch = _after_evaluation

    def _share(self, runner: Runner) -> tuple[int, int]:
        """Bring the notes of all processes together: videos tried, samples replaced."""
        counts = self._counts
        notes = all_gather_object((counts.failures, len(counts.tried), counts.replaced))
        counts.failures = {}
        news: dict[str, str] = {}
        for failures, _, _ in notes:
            news.update(failures)
        counts.broken.update(news)
        unnamed = {p: cause for p, cause in news.items() if _one_line(p) not in self._named}
        self._named.update((_one_line(path), cause) for path, cause in unnamed.items())
        if unnamed and is_main_process():
            for path, cause in unnamed.items():
                runner.logger.warning(f'Cannot read {_one_line(path)}: {_one_line(cause)}')
            lines = [f'{p}\t{_one_line(cause)}\n' for p, cause in self._named.items()]
            write_whole(Path(runner.work_dir, LIST_FILE), ''.join(lines))
        return sum(tried for _, tried, _ in notes), sum(number for _, _, number in notes)

    def _check(self, tried: int) -> None:
        broken = self._counts.broken
        if len(broken) <= self.max_share * tried:
            return
        paths = [_one_line(path) for path in sorted(broken)[:3]]
        examples = '; '.join(f'{path} ({self._named[path]})' for path in paths)
        stop_together(
            TooManyBrokenVideosError(
                f'{len(broken)} of {tried} videos tried cannot be read, more than '
                f'max_share={self.max_share:g} of BrokenVideosHook, for example {examples}. The '
                f'list is in {LIST_FILE} of the work directory.'
            )
        )


def _one_line(text: str) -> str:
    """Text that fits in a line of the list and can be written, whatever a file is called."""
    text = text.translate(dict.fromkeys(map(ord, '\t\r\n'), ' '))
    return text.encode('utf-8', 'backslashreplace').decode('utf-8')
