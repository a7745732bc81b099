"""Training a classifier on few labels, from a checkpoint or from scratch."""

from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config

from .clips import LABEL_SETS, label_of
from .runner import (
    Site,
    encoder_config,
    loader_config,
    loading_config,
    run_training,
    runner_config,
    wrapper_type,
)
from .scales import Scale, Schedule


@dataclass(frozen=True)
class Finetuning:
    """What a classifier is trained with.

    Attributes:
        labels: Labels per class.
        label_set: One of ``LABEL_SETS``.
        masking: Share of the patches removed in the first epoch, less and less afterwards.
        still: See ``LoadFrames``.
        split: Where it is tested.
    """

    labels: int
    label_set: str = 'motion'
    masking: float = 0.0
    still: bool = False
    split: str = 'test'


def finetuning_config(
    site: Site, options: Finetuning, schedule: Schedule, seed: int, is_scratch: bool
) -> Config:
    """Config of a Runner that trains a classifier."""
    scale = site.scale
    model = dict(
        type='ClipClassifier',
        backbone=encoder_config(scale, out_type='pooled'),
        num_classes=len(LABEL_SETS[options.label_set]),
    )
    pack = [dict(type='PackClips'), dict(type='NumberView')]
    crop = dict(
        type='ClipRandomResizedCrop', size=scale.img_size, scale=(0.6, 1.0), ratio=(0.9, 1.11)
    )
    loading = loading_config(site, 'train', still=options.still)
    indices = pick_labelled(scale, options.labels, seed, options.label_set)
    cfg = runner_config(site, model, schedule, len(indices), seed)
    labels = options.label_set
    cfg.train_dataloader = loader_config(
        site, 'train', [loading, crop, *pack], schedule.batch, shuffle=True, labels=labels
    )
    cfg.train_dataloader.dataset.indices = indices
    resize = dict(type='ClipResize', short_side=scale.img_size)
    loading = loading_config(site, options.split, still=options.still)
    cfg.test_dataloader = loader_config(
        site, options.split, [loading, resize, *pack], 64, shuffle=False, labels=labels
    )
    cfg.test_evaluator = dict(type='TopOne')
    cfg.test_cfg = dict(type='TestLoop')
    cfg.optim_wrapper = dict(
        type=wrapper_type(scale),
        optimizer=dict(type='AdamW', lr=schedule.lr, betas=(0.9, 0.999), weight_decay=0.05),
        clip_grad=dict(max_norm=5.0),
        constructor='LayerDecayOptimWrapperConstructor',
        paramwise_cfg=dict(layer_decay_rate=1.0 if is_scratch else scale.layer_decay),
    )
    if options.masking:
        cfg.default_hooks.mask_annealing = dict(type='MaskAnnealingHook', ratio=options.masking)
    return cfg


def finetune(
    site: Site,
    options: Finetuning,
    schedule: Schedule,
    seed: int,
    checkpoint: Path | None,
) -> dict[str, float]:
    """Train a classifier, from a checkpoint or from scratch, and test it.

    Returns:
        ``accuracy`` in [0, 1] and ``loss``, of the last tenth of the steps.
    """
    cfg = finetuning_config(site, options, schedule, seed, checkpoint is None)
    if checkpoint is not None:
        cfg.model.backbone.init_cfg = dict(
            type='Pretrained', checkpoint=str(checkpoint), prefix='backbone.'
        )
    runner, record = run_training(cfg)
    return dict(accuracy=runner.test()['top1'], loss=record.mean_of_last())


def pick_labelled(scale: Scale, labels: int, seed: int, label_set: str = 'motion') -> list[int]:
    """Indices of the labelled clips, equally many of each class, by seed.

    Raises:
        ValueError: If there are not so many.
    """
    classes = len(LABEL_SETS[label_set])
    per_class = scale.clips.num_train // classes
    if not 1 <= labels <= per_class:
        raise ValueError(f'labels must be within [1, {per_class}], got {labels}')
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(per_class, generator=generator)[:labels].sort().values
    members: dict[int, list[int]] = {}
    for index in range(scale.clips.num_train):
        members.setdefault(label_of(index, label_set), []).append(index)
    return [members[label][i] for i in order for label in range(classes)]
