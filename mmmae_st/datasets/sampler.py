"""Order of the videos in an epoch."""

import math
from collections.abc import Iterator, Sized
from itertools import islice

from mmengine.dataset import DefaultSampler
from mmengine.logging import print_log

from mmmae_st.datasets.sample_key import epoch_of_pass
from mmmae_st.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class EpochSampler(DefaultSampler):
    """mmengine's ``DefaultSampler`` that yields ``(epoch, index)`` pairs and can start mid-epoch.

    The epoch travels with the index because persistent workers hold a copy of the dataset that
    never learns of a new epoch. Ranks get equally many samples: when their number does not divide
    the set, the first videos of the shuffled epoch are given again (``round_up``). Whatever comes
    again in an epoch counts as another epoch (see :mod:`sample_key`), so that its clips and masks
    are new.

    Args:
        dataset: The videos.
        shuffle: Another order in each epoch. Defaults to True.
        seed: Of the order, the same on all ranks; None draws one.
        round_up: Give some samples twice rather than leave some out.
        multiple_of: An epoch of a rank has a multiple of so many samples, filled up from its
            beginning: with batch size times accumulated steps it ends with an update of the
            weights. Defaults to 1.

    Raises:
        ValueError: ``multiple_of`` is not a positive integer, or needs ``round_up``.
    """

    def __init__(
        self,
        dataset: Sized,
        shuffle: bool = True,
        seed: int | None = None,
        round_up: bool = True,
        multiple_of: int = 1,
    ) -> None:
        if not isinstance(multiple_of, int) or multiple_of < 1:
            raise ValueError(f'multiple_of must be a positive integer, got {multiple_of!r}')
        if multiple_of > 1 and not round_up:
            raise ValueError(f'multiple_of={multiple_of} fills epochs up, which needs round_up')
        super().__init__(dataset, shuffle, seed, round_up)
        self._start = 0
        own = len(self)
        self.num_samples = math.ceil(own / multiple_of) * multiple_of
        if self.num_samples > own:
            self.total_size = self.num_samples * self.world_size
            print_log(
                f'An epoch has {self.num_samples} videos for each process in place of {own}, so '
                f'that it consists of whole updates of {multiple_of}: '
                f'{self.num_samples - own} come again, with other clips and masks',
                logger='current',
            )

    def skip(self, num_samples: int) -> None:
        """Let the next iteration leave out this rank's first samples (to resume in mid-epoch).

        ``len()`` stays the length of a whole epoch: mmengine counts iterations and schedules with
        it, and a resumed epoch ends where it would have ended.

        Args:
            num_samples: Samples of this rank to leave out, within [0, len(self)].

        Raises:
            ValueError: ``num_samples`` is out of range.
        """
        if not 0 <= num_samples <= len(self):
            raise ValueError(f'num_samples must be within [0, {len(self)}], got {num_samples!r}')
        self._start = num_samples

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Iterate (epoch, index)."""
        start, self._start = self._start, 0
        number = len(self.dataset)
        pairs = (
            (epoch_of_pass(self.epoch, (self.rank + self.world_size * i) // number), index)
            for i, index in enumerate(super().__iter__())
        )
        return islice(pairs, start, None)
