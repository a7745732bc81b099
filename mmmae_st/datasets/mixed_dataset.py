"""One training set of several, with weights."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate

import numpy as np
from torch.utils.data import Dataset

from mmmae_st.datasets.sample_key import pass_rng, source_seed
from mmmae_st.datasets.video_dataset import VideoDataset
from mmmae_st.registry import DATASETS

MAY_NOT_HAVE = ('seed', 'test_mode', 'lazy_init')
"""Arguments of the sources that the mixture gives itself."""


@DATASETS.register_module()
class MixedVideoDataset(Dataset):
    """A training set of several lists and folders, each with a share of the clips.

    Each source is a :class:`VideoDataset` with a pipeline of its own, so that frame rates, raw
    frames or files and whatever else may differ; what the pipelines give has to fit into one batch.
    An epoch has ``length`` samples, of which each source gives its share, rounded: no more of it is
    left to chance. A source goes through all its videos, in a new order each time, before one comes
    again; its n-th pass, which may take several epochs or a part of one, makes the samples that it
    makes alone in epoch n. So ``dataset[(epoch, index)]`` is the same in any process, whatever was
    read before, and a run resumes exactly.

    A video that cannot be read is replaced by one of its source. ``source`` of the data samples
    tells which that is.

    Args:
        datasets: Configs of the sources, without ``seed``, ``test_mode`` and ``lazy_init``.
        weights: Relative shares of the clips, one for each source. Defaults to None: the numbers
            of videos.
        length: Samples of an epoch. Defaults to None: the number of all videos.
        seed: Seed of everything random, >= 0. Defaults to 0.
        lazy_init: Read the lists at first use, not now. Defaults to False.

    Raises:
        ValueError: A bad argument, naming it, or a source too small for one sample in an epoch.
        FileNotFoundError: A list or a folder does not exist.
    """

    def __init__(
        self,
        datasets: Sequence[Mapping],
        weights: Sequence[float] | None = None,
        length: int | None = None,
        seed: int = 0,
        lazy_init: bool = False,
    ) -> None:
        if not isinstance(datasets, Sequence) or not datasets:
            raise ValueError(f'datasets must be a list of at least one dict, got {datasets!r}')
        if weights is not None:
            _check_weights(weights, len(datasets))
        if length is not None and (not isinstance(length, int) or length < 1):
            raise ValueError(f'length must be an integer of at least 1, got {length!r}')
        if not isinstance(seed, int) or seed < 0:
            raise ValueError(f'seed must be an integer >= 0, got {seed!r}')
        self.weights = weights
        self.length = length
        self.seed = seed
        self.datasets = [_source(cfg, i, source_seed(seed, i)) for i, cfg in enumerate(datasets)]
        self._shares: list[int] = []
        self._ends: list[int] = []
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> dict:
        """What mmengine's loops ask a dataset for."""
        return dict(dataset_type='mixed_video')

    def full_init(self) -> None:
        """Read the lists that are not read yet."""
        if self._shares:
            return
        for dataset in self.datasets:
            dataset.full_init()
        videos = [len(dataset) for dataset in self.datasets]
        length = sum(videos) if self.length is None else self.length
        self._shares = whole_shares(self.weights or videos, length)
        if 0 in self._shares:
            place = self._shares.index(0)
            raise ValueError(
                f'{self.datasets[place].source} must have at least one of the {length} samples of '
                f'an epoch: raise weights[{place}] or length'
            )
        self._ends = list(accumulate(self._shares))

    @property
    def shares(self) -> list[int]:
        """Samples of an epoch that each source gives."""
        self.full_init()
        return list(self._shares)

    def __len__(self) -> int:
        return sum(self.shares)

    def __getitem__(self, idx: int | tuple[int, int]) -> dict:
        """Make one sample.

        Args:
            idx: Index, or (epoch, index) as :class:`EpochSampler` gives it.

        Returns:
            What the pipeline of the source returns.

        Raises:
            IndexError: No such index.
            UnreadableVideoError: Neither the video nor replacements of its source can be read.
        """
        epoch, index = idx if isinstance(idx, tuple) else (0, idx)
        if not -len(self) <= index < len(self):
            raise IndexError(f'index {index} is out of range for {len(self)} samples of an epoch')
        index %= len(self)
        place = int(np.searchsorted(self._ends, index, side='right'))
        source, share = self.datasets[place], self._shares[place]
        position = epoch * share + index - (self._ends[place] - share)
        number, position = divmod(position, len(source))
        return source[(number, int(order(source.seed, number, len(source))[position]))]


def whole_shares(weights: Sequence[float], length: int) -> list[int]:
    """Whole parts of ``length`` in proportion to the weights, by largest remainders."""
    exact = np.asarray(weights, np.float64) / sum(weights) * length
    whole = np.floor(exact).astype(int)
    whole[np.argsort(whole - exact, kind='stable')[: length - whole.sum()]] += 1
    return whole.tolist()


@lru_cache(maxsize=8)
def order(seed: int, number: int, num_videos: int) -> np.ndarray:
    """The videos of a source in its pass of that number, (N,) int32."""
    return pass_rng(seed, number).permutation(np.arange(num_videos, dtype=np.int32))


def _check_weights(weights: Sequence[float], number: int) -> None:
    if not isinstance(weights, Sequence) or len(weights) != number:
        raise ValueError(f'weights must be {number} numbers, one for each of datasets: {weights!r}')
    for i, weight in enumerate(weights):
        if type(weight) not in (int, float) or not 0 < weight < float('inf'):
            raise ValueError(f'weights[{i}] must be a number greater than 0, got {weight!r}')


def _source(cfg: Mapping, place: int, seed: int) -> VideoDataset:
    name = f'datasets[{place}]'
    if not isinstance(cfg, Mapping) or 'type' not in cfg:
        raise ValueError(f"{name} must be dict(type='VideoDataset', ...), got {cfg!r}")
    own = [key for key in MAY_NOT_HAVE if key in cfg]
    if own:
        raise ValueError(f'{name}.{own[0]} must be left out: the mixture gives it')
    try:
        dataset = DATASETS.build(dict(cfg, seed=seed, lazy_init=True))
    except (ValueError, TypeError) as error:
        raise ValueError(f'{name}: {error}') from error
    if not isinstance(dataset, VideoDataset):
        raise ValueError(
            f'{name}.type must be VideoDataset or derived from it, got {cfg["type"]!r}'
        )
    given = dataset.ann_file or dataset.data_prefix['video']
    dataset.source = f'{name} ({given.rstrip("/")})'
    return dataset
