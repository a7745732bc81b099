"""Who draws with which seed in a training run, and why no two of them draw alike.

===================================================== =================================
who                                                   words of the seed
===================================================== =================================
a view of a sample: frames, crop, flip, ... its mask  seed, epoch, index, view
which videos replace one that cannot be read          seed, epoch, index, 0, 1
the mask of a view in fine-tuning                     seed, epoch, index, view, 0, 2
order of a source of a mixture in a pass of its       seed, pass, 0, 0, 3
Python, NumPy and PyTorch in a step: mixup, dropout   seed, iteration, rank
order of the videos (mmengine's ``DefaultSampler``)   seed + epoch, for PyTorch
===================================================== =================================

NumPy's generators of different words are independent, and so are those of different numbers of
words from four on (fewer are filled up with zeros). The first rows have four, five and six, and the
two of five end differently.
The words of a step are those of the first view of some sample, but they seed Mersenne Twisters,
not NumPy's ``Generator``. A video that comes again in an epoch does so in another one, ``PASS``
later: epochs are fewer.

``seed`` is that of the dataset in the first two rows and the fourth, that of the run in the others.
Each source of a mixture has a seed of its own, drawn from that of the mixture. Tools that
draw for themselves (pictures of masks, synthetic clips, probes) take no part in a run.
"""

import numpy as np

SampleKey = tuple[int, int, int]
"""(seed, epoch, index): a sample is a pure function of it."""

PASS = 1_000_000


def view_rng(sample_key: SampleKey, view: int) -> np.random.Generator:
    """For all that the pipeline draws for one view of a sample."""
    return np.random.default_rng((*sample_key, view))


def replacement_rng(sample_key: SampleKey) -> np.random.Generator:
    """For the videos that are tried in place of one that cannot be read."""
    return np.random.default_rng((*sample_key, 0, 1))


def finetuning_mask_rng(sample_key: SampleKey, view: int) -> np.random.Generator:
    """For the patches of one view that fine-tuning leaves out."""
    return np.random.default_rng((*sample_key, view, 0, 2))


def source_seed(seed: int, place: int) -> int:
    """Seed of the source at that place of a mixture, below 2**32."""
    return int(np.random.SeedSequence((seed, place, 0, 4)).generate_state(1)[0])


def pass_rng(seed: int, number: int) -> np.random.Generator:
    """For the order of a source of a mixture, each time it goes through its videos."""
    return np.random.default_rng((seed, number, 0, 0, 3))


def step_seeds(seed: int, iteration: int, rank: int) -> tuple[int, int]:
    """Seeds of a process's step: for Python and PyTorch, for NumPy; each below 2**32."""
    first, second = np.random.SeedSequence((seed, iteration, rank)).generate_state(2).tolist()
    return first, second


def epoch_of_pass(epoch: int, number: int) -> int:
    """The epoch that counts for a sample whose video comes for the ``number``-th time again."""
    return epoch + PASS * number
