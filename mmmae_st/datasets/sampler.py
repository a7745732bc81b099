"""Order of the videos in an epoch."""

from collections.abc import Iterator
from itertools import islice

from mmengine.dataset import DefaultSampler

from ..registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class EpochSampler(DefaultSampler):
    """mmengine's ``DefaultSampler`` that yields ``(epoch, index)`` pairs and can start mid-epoch.

    The epoch travels with the index because persistent workers hold a copy of the dataset that
    never learns of a new epoch. Ranks get equally many samples: when their number does not divide
    the set, the first samples of the shuffled epoch are given twice (``round_up``).
    """

    _start = 0

    def skip(self, num_samples: int) -> None:
        """Let the next iteration leave out this rank's first samples (to resume in mid-epoch).

        ``len()`` stays the length of a whole epoch: mmengine counts iterations and schedules with
        it, and a resumed epoch ends where it would have ended.

        Args:
            num_samples (int): Samples of this rank to leave out, within [0, len(self)].

        Raises:
            ValueError: ``num_samples`` is out of range.
        """
        if not 0 <= num_samples <= len(self):
            raise ValueError(f'num_samples must be within [0, {len(self)}], got {num_samples!r}')
        self._start = num_samples

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Iterate (epoch, index)."""
        start, self._start = self._start, 0
        return ((self.epoch, index) for index in islice(super().__iter__(), start, None))
