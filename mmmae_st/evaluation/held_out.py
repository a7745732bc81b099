"""A small set of clips through training's own pipeline, decoded once and kept.

A sample is a pure function of (seed, epoch, index): no generator of the run is touched.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch.utils.data import Dataset

from mmmae_st.datasets.video_dataset import UnreadableVideoError

NUM_THREADS = 4


@dataclass(frozen=True)
class VideoClips:
    """The clips of one video.

    Attributes:
        index: Number of the video in its dataset.
        label: Of the video; None without.
        batch: Samples of the video, collated for the model's preprocessor; it may hold more clips
            than are asked for.
    """

    index: int
    label: int | None
    batch: dict


def read_clips(dataset: Dataset, indices: list[int], num_clips: int) -> list[VideoClips]:
    """Read at least ``num_clips`` clips of each of some videos; the unreadable are left out.

    Args:
        dataset: A ``VideoDataset`` with a pipeline of pretraining.
        indices: The videos.
        num_clips: A sample has R clips; as many samples as it takes are drawn, of epochs 0, 1, ...
    """

    def read(index: int) -> VideoClips | None:
        samples: list[dict] = []
        try:
            while sum(len(sample['inputs']) for sample in samples) < num_clips:
                samples.append(dataset[(len(samples), index)])
        except UnreadableVideoError:
            return None
        batch = pseudo_collate(samples)
        if any(sample.failures for sample in batch['data_samples']):  # another video in its place
            return None
        return VideoClips(index, batch['data_samples'][0].get('label'), batch)

    with ThreadPoolExecutor(min(NUM_THREADS, torch.get_num_threads())) as pool:
        return [clips for clips in pool.map(read, indices) if clips is not None]


def held_out_config(cfg: Config, arguments: dict | None) -> tuple[str, dict]:
    """The config of a dataset with training's own pipeline.

    Args:
        cfg: Config of a pretraining.
        arguments: What is different from the training dataset, merged into it as mmengine does, so
            that ``data_prefix.video`` is a key, too; its ``indices`` do not hold then.
            None for the videos of ``val_dataloader``, and those of training if there is none.

    Returns:
        Where the videos come from, in words; the config.
    """
    training = cfg.train_dataloader.dataset
    if arguments is not None:
        other = Config(dict(dataset={key: training[key] for key in training if key != 'indices'}))
        other.merge_from_dict({f'dataset.{key}': value for key, value in arguments.items()})
        return 'of a set of their own', other.dataset
    if cfg.get('val_dataloader'):
        records = cfg.val_dataloader.dataset
        return 'of val_dataloader', dict(records, pipeline=training.pipeline, test_mode=False)
    return 'of training, which are not held out', dict(training)


def pick(length: int, number: int) -> list[int]:
    """At most ``number`` indices below ``length``, ascending; the same for the same numbers.

    Not at equal distances: lists repeat their classes at equal distances, too.
    """
    order = np.random.default_rng(0).permutation(length)
    return sorted(order[:number].tolist())


def spread(length: int, number: int) -> list[int]:
    """``number`` indices below ``length`` at equal distances."""
    return ((np.arange(number) + 0.5) * length / number).astype(int).tolist()
