"""Keeps count of the videos that could not be read."""

from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmmae_st.registry import HOOKS

from .atomic_file import AtomicBackend
from .failures import stop_together

LIST_FILE = 'broken_videos.txt'


class TooManyBrokenVideosError(RuntimeError):
    """More videos than allowed cannot be read."""


@HOOKS.register_module()
class BrokenVideosHook(Hook):
    """Names each unreadable video once, counts them, and stops when there are too many.

    ``VideoDataset`` replaces such a video in training and notes (path, cause) under ``failures`` of
    the data sample. Here the notes of all processes come together: each file is named once in the
    log with its cause and written to ``broken_videos.txt`` in the work directory (one
    ``path<TAB>cause`` a line; a resumed run adds to it), and the end of an epoch gives the counts.

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
        self._start_epoch()

    def before_train(self, runner: Runner) -> None:
        """Read which files an earlier part of this run has named."""
        path = Path(runner.work_dir, LIST_FILE)
        if runner.iter > 0 and path.exists():
            lines = path.read_text(encoding='utf-8').split('\n')
            self._named = dict(line.split('\t', 1) for line in lines if '\t' in line)

    def before_train_epoch(self, runner: Runner) -> None:
        """Start the counts of the epoch."""
        self._start_epoch()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Note the failures of the batch; now and then, share them."""
        for sample in data_batch.get('data_samples', []):
            if 'failures' not in sample:
                continue
            self._tried.update(hash(path) for path in (sample.path, *dict(sample.failures)))
            self._failures.update(sample.failures)
            self._replaced += bool(sample.failures)
        if (runner.iter + 1) % self.interval == 0:
            tried, _ = self._share(runner)
            if tried >= self.min_videos:
                self._check(tried)

    def after_train_epoch(self, runner: Runner) -> None:
        """Give the counts; the threshold holds for a small set too."""
        tried, replaced = self._share(runner)
        if self._broken:
            runner.logger.warning(
                f'Epoch {runner.epoch + 1}: {replaced} samples were replaced because their video '
                f'could not be read; {len(self._broken)} of {tried} videos tried are broken, '
                f'listed in {Path(runner.work_dir, LIST_FILE)}.'
            )
        self._check(tried)

    def _start_epoch(self) -> None:
        self._tried: set[int] = set()
        self._broken: set[str] = set()
        self._failures: dict[str, str] = {}
        self._replaced = 0

    def _share(self, runner: Runner) -> tuple[int, int]:
        """Bring the notes of all processes together: videos tried, samples replaced."""
        notes = all_gather_object((self._failures, len(self._tried), self._replaced))
        self._failures = {}
        news: dict[str, str] = {}
        for failures, _, _ in notes:
            news.update(failures)
        self._broken.update(news)
        unnamed = {p: cause for p, cause in news.items() if _one_line(p) not in self._named}
        self._named.update((_one_line(path), cause) for path, cause in unnamed.items())
        if unnamed and is_main_process():
            for path, cause in unnamed.items():
                runner.logger.warning(f'Cannot read {_one_line(path)}: {_one_line(cause)}')
            lines = [f'{p}\t{_one_line(cause)}\n' for p, cause in self._named.items()]
            AtomicBackend().put_text(''.join(lines), Path(runner.work_dir, LIST_FILE))
        return sum(tried for _, tried, _ in notes), sum(number for _, _, number in notes)

    def _check(self, tried: int) -> None:
        if len(self._broken) <= self.max_share * tried:
            return
        paths = [_one_line(path) for path in sorted(self._broken)[:3]]
        examples = '; '.join(f'{path} ({self._named[path]})' for path in paths)
        stop_together(
            TooManyBrokenVideosError(
                f'{len(self._broken)} of {tried} videos tried cannot be read, more than '
                f'max_share={self.max_share:g} of BrokenVideosHook, for example {examples}. The '
                f'list is in {LIST_FILE} of the work directory.'
            )
        )


def _one_line(text: str) -> str:
    """Text that fits in a line of the list and can be written, whatever a file is called."""
    text = text.translate(dict.fromkeys(map(ord, '\t\r\n'), ' '))
    return text.encode('utf-8', 'backslashreplace').decode('utf-8')
