"""mmaction2's own loader for the job of ours, to be timed beside it."""

import importlib
import importlib.util

from mmengine.registry import DefaultScope
from torch.utils.data import Dataset

from mmmae_st.datasets import VideoDataset
from mmmae_st.datasets.transforms import ClipFlip, ClipRandomResizedCrop, DecoderMasking, PackClips
from mmmae_st.datasets.transforms.masking import BaseMasking

DELIMITER = '\t'  # between path and label, in the list that both datasets read


class UnavailableError(Exception):
    """mmaction2 cannot be timed here; says why."""


class ByIndex(Dataset):
    """A dataset of mmaction2 that is asked by (epoch, index), as ours is."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __getitem__(self, key: tuple[int, int]) -> object:
        """One sample."""
        return self.dataset[key[1]]


def mmaction_dataset(dataset: VideoDataset, ann_file: str) -> tuple[ByIndex, str]:
    """mmaction2's own dataset and pipeline for the same job, without the masks.

    Args:
        dataset: Ours.
        ann_file: List of paths and labels with a tab between.

    Returns:
        The dataset, and what it is called. It decodes with decord, as mmaction2's configs do; one
        clip of a video can be read with PyAV where decord is not installed, several cannot.

    Raises:
        UnavailableError: mmaction2 or decord is not installed, or mmaction2 has no such pipeline.
    """
    if importlib.util.find_spec('mmaction') is None:
        raise UnavailableError('mmaction2 is not installed')
    load, *transforms = dataset.pipeline.transforms
    repeated = load.num_clips > 1
    library = 'PyAV' if importlib.util.find_spec('decord') is None else 'Decord'
    if repeated and library == 'PyAV':
        raise UnavailableError('mmaction2 needs decord for several clips, it is not installed')
    if load.sampling != 'random':
        raise UnavailableError(f'sampling={load.sampling!r} is not compared, only random clips')
    pipeline = [
        dict(type=f'{library}Init'),
        dict(type='SampleFrames', clip_len=load.clip_len, frame_interval=load.frame_interval),
        dict(type=f'{library}Decode'),
        *(step for transform in transforms for step in _counterpart(transform)),
        dict(type='FormatShape', input_format='NCTHW'),
        dict(type='PackActionInputs'),
    ]
    importlib.import_module('mmmae_st.compat.mmaction')  # lets mmaction2 be imported
    from mmaction.datasets import RepeatAugDataset
    from mmaction.datasets import VideoDataset as MMActionVideoDataset

    with DefaultScope.overwrite_default_scope('mmaction'):
        if repeated:
            theirs = RepeatAugDataset(
                ann_file, pipeline, num_repeats=load.num_clips, delimiter=DELIMITER
            )
        else:
            theirs = MMActionVideoDataset(ann_file, pipeline, delimiter=DELIMITER)
    name = 'RepeatAugDataset' if repeated else 'VideoDataset'
    return ByIndex(theirs), f'mmaction2 {name}, {library.lower()}'


def _counterpart(transform: object) -> list[dict]:
    """What mmaction2 calls one of our transforms."""
    if isinstance(transform, BaseMasking | DecoderMasking | PackClips):
        return []
    if isinstance(transform, ClipRandomResizedCrop):
        size = (transform.size, transform.size)
        crop = dict(area_range=tuple(transform.scale), aspect_ratio_range=tuple(transform.ratio))
        return [
            dict(type='RandomResizedCrop', **crop),
            dict(type='Resize', scale=size, keep_ratio=False),
        ]
    if isinstance(transform, ClipFlip):
        return [dict(type='Flip', flip_ratio=transform.prob)]
    raise UnavailableError(f'{type(transform).__name__} is not compared')
