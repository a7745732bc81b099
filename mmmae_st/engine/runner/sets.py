"""What the sets of a run must hold, known as soon as their lists are read."""

import re
from logging import WARNING
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader, Dataset

from mmmae_st.datasets import MixedVideoDataset
from mmmae_st.engine.runner.wrapped_model import unwrapped


def require_sets(runner: Runner) -> None:
    """Read the lists that training and its validation need, and stop where they do not serve.

    Raises:
        ValueError: If the videos of a process do not fill one batch, or a label is no class of the
            model; names the list, the line and the label.
    """
    loader = runner.train_loop.dataloader
    if len(loader) == 0:
        raise ValueError(
            f'an epoch has no step: {len(loader.dataset)} videos do not fill a batch of '
            f'train_dataloader.batch_size={loader.batch_size} on each of {get_world_size()} '
            'processes: lower it'
        )
    loaders = [loader] if runner.val_loop is None else [loader, runner.val_loop.dataloader]
    for loader in loaders:
        require_labels(loader, classes_of(runner.model))


def classes_of(model: nn.Module) -> int | None:
    """Number of classes of a recogniser, None for other models."""
    return getattr(getattr(unwrapped(model), 'cls_head', None), 'num_classes', None)


def require_labels(loader: DataLoader, num_classes: int | None) -> None:
    """Stop where a label of a list is no class of the model.

    Args:
        loader: Of a set whose records have one ``label`` each; others are passed over.
        num_classes: Of the model; None if it has none.

    Raises:
        ValueError: Naming the list, the line and the label.
    """
    whole = loader.dataset
    for dataset in whole.datasets if isinstance(whole, MixedVideoDataset) else [whole]:
        _require_labels(dataset, num_classes)


def _require_labels(dataset: Dataset, num_classes: int | None) -> None:
    if num_classes is None or not isinstance(dataset, BaseDataset) or not len(dataset):
        return
    labels = getattr(dataset.data_list, 'labels', None)  # of a million videos without a loop
    if labels is None:
        labels = [dataset.get_data_info(i).get('label') for i in range(len(dataset))]
        if not all(isinstance(label, int) for label in labels):
            return
    labels = np.asarray(labels)
    from_one = labels.min() == 1
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(wrong):
        record, label = dataset.get_data_info(int(wrong[0])), labels[wrong[0]]
        path = record.get('path') or record.get('filename') or record.get('frame_dir')
        hint = '; those of this list start at 1' if from_one else ''
        raise ValueError(
            f'{_line(dataset.ann_file, path, label)}the label {label} of {path} is no class of the '
            f'model: with model.cls_head.num_classes={num_classes} labels are 0 to '
            f'{num_classes - 1}{hint}'
        )
    if from_one:
        print_log(
            f'the labels of {dataset.ann_file} start at 1, so that class 0 has no video: labels '
            'count from 0',
            logger='current',
            level=WARNING,
        )


def _line(ann_file: str, path: str, label: int) -> str:
    """Where in a list a video stands, if that can be told."""
    if not Path(ann_file).is_file():
        return ''
    ending = re.compile(rf'{re.escape(Path(path).name)}.*\b{label}\s*')
    for number, line in enumerate(Path(ann_file).read_text(errors='replace').split('\n'), 1):
        if ending.search(line):
            return f'{ann_file}, line {number}: '
    return f'{ann_file}: '
