"""Pretraining and fine-tuning with the project's own parts."""

import inspect
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmmae_st.engine.runner.launch import prepare_runtime

from . import parts  # noqa: F401  (registers what the configs name)
from .clips import LABEL_SETS, label_of, list_file
from .recording import SnapshotHook, TrainingLoss, save_weights
from .scales import Scale, Schedule

RUNTIME = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'default_runtime.py'
WARMUP = 0.1  # of the steps
MASKINGS = dict(
    random='RandomMasking', tube='TubeMasking', frame='FrameMasking', block='BlockMasking'
)


@dataclass(frozen=True)
class Pretraining:
    """What a pretraining is made of; everything else is the scale's.

    Attributes:
        masking: A key of ``MASKINGS``.
        ratio: Share of the patches that is removed.
        target: See ``MAEHead``.
        decoder_depth: Blocks of the decoder; the scale's for 0.
        decoder_width: Width of the decoder over the scale's.
        repeats: Clips of a video in a step. Clips in all and clips of a step stay the same.
        dense: Mask tokens go through the encoder.
    """

    masking: str = 'random'
    ratio: float = 0.75
    target: str = 'pixels'
    decoder_depth: int = 0
    decoder_width: float = 1.0
    repeats: int = 1
    dense: bool = False


@dataclass(frozen=True)
class Site:
    """Where a study runs.

    Attributes:
        scale: Its size.
        data: Folder of the clips.
        work: Folder of checkpoints and logs.
        results: Folder of the finished measurements, ``work / 'results'`` for None.
    """

    scale: Scale
    data: Path
    work: Path
    results: Path | None = None


def encoder_config(scale: Scale, **options: Any) -> dict:
    """Config of the encoder."""
    return dict(
        type='SpacetimeViT',
        arch=dict(scale.encoder),
        img_size=scale.img_size,
        num_frames=scale.clip_len,
        patch_size=scale.patch_size,
        pos_embed='sincos',
        **options,
    )


def autoencoder_config(scale: Scale, options: Pretraining) -> dict:
    """Config of the masked autoencoder."""
    decoder = dict(scale.decoder)
    decoder['depth'] = options.decoder_depth or decoder['depth']
    decoder['embed_dims'] = round(options.decoder_width * decoder['embed_dims'])
    return dict(
        type='SpatiotemporalMAE',
        data_preprocessor=dict(type='ClipDataPreprocessor'),
        backbone=encoder_config(scale, with_mask_token=options.dense),
        decoder=dict(
            type='MAEDecoder',
            encoder_dims=scale.encoder['embed_dims'],
            img_size=scale.img_size,
            num_frames=scale.clip_len,
            patch_size=scale.patch_size,
            pos_embed='sincos',
            with_mask_token=not options.dense,
            **decoder,
        ),
        head=dict(
            type='MAEHead',
            embed_dims=decoder['embed_dims'],
            patch_size=scale.patch_size,
            target=options.target,
        ),
    )


def pretraining_config(site: Site, options: Pretraining, seed: int) -> Config:
    """Config of a Runner that pretrains."""
    scale = site.scale
    pipeline = [
        loading_config(site, 'train', num_clips=options.repeats),
        dict(type='ClipRandomResizedCrop', size=scale.img_size, scale=(0.5, 1.0)),
        dict(type=MASKINGS[options.masking], ratio=options.ratio, patch_size=scale.patch_size),
        dict(type='PackClips'),
    ]
    if scale.pretrain.batch % options.repeats or scale.pretrain.epochs % options.repeats:
        raise ValueError(
            f'repeats must divide batch={scale.pretrain.batch} and '
            f'epochs={scale.pretrain.epochs}, got {options.repeats}'
        )
    schedule = Schedule(
        scale.pretrain.epochs // options.repeats,
        scale.pretrain.batch // options.repeats,
        scale.pretrain.lr,
    )
    model = autoencoder_config(scale, options)
    cfg = _runner_config(site, model, schedule, scale.clips.num_train, seed)
    cfg.train_dataloader = loader_config(site, 'train', pipeline, schedule.batch, shuffle=True)
    cfg.optim_wrapper = dict(
        type=_wrapper(scale),
        optimizer=dict(type='AdamW', lr=schedule.lr, betas=(0.9, 0.95), weight_decay=0.05),
        clip_grad=dict(max_norm=1.0),
        paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
    )
    return cfg


def pretrain(site: Site, options: Pretraining, seed: int, checkpoint: Path) -> dict[str, float]:
    """Pretrain and write the weights to ``checkpoint``, and beside it those of ``SNAPSHOTS``.

    Returns:
        ``loss``, the mean of the last tenth of the steps, and ``steps``.
    """
    cfg = pretraining_config(site, options, seed)
    runner, record = run_training(cfg, SnapshotHook(checkpoint))
    save_weights(runner, checkpoint)
    return dict(loss=record.mean_of_last(), steps=len(record.losses))


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
    cfg = _runner_config(site, model, schedule, len(indices), seed)
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
        type=_wrapper(scale),
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


def loading_config(site: Site, split: str, num_clips: int = 1, still: bool = False) -> dict:
    """Config of the transform that reads from memory."""
    return dict(
        type='LoadFrames',
        frames=str(site.data / f'{split}.npy'),
        clip_len=site.scale.clip_len,
        frame_interval=site.scale.frame_interval,
        num_clips=num_clips,
        still=still,
    )


def _wrapper(scale: Scale) -> str:
    return 'BFloat16OptimWrapper' if scale.bfloat16 else 'OptimWrapper'


def loader_config(
    site: Site,
    split: str,
    pipeline: list[dict],
    batch: int,
    shuffle: bool,
    labels: str = 'motion',
) -> dict:
    """Config of a loader of the clips of a split with a set of labels."""
    return dict(
        batch_size=batch,
        num_workers=site.scale.loaders,
        persistent_workers=bool(site.scale.loaders),
        drop_last=False,
        sampler=dict(type='EpochSampler' if shuffle else 'DefaultSampler', shuffle=shuffle),
        collate_fn=dict(type='pseudo_collate'),
        dataset=dict(
            type='VideoDataset',
            data_root=str(site.data),
            ann_file=list_file(split, labels),
            data_prefix=dict(video=split),
            pipeline=pipeline,
            test_mode=not shuffle,
        ),
    )


def _runner_config(
    site: Site, model: dict, schedule: Schedule, num_videos: int, seed: int
) -> Config:
    cfg = Config.fromfile(RUNTIME)
    end = schedule.epochs * math.ceil(num_videos / schedule.batch)
    warmup = math.ceil(WARMUP * end)
    cfg.merge_from_dict(
        dict(
            model=model,
            train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=schedule.epochs),
            param_scheduler=[
                dict(type='LinearLR', start_factor=1e-3, end=warmup, by_epoch=False),
                dict(
                    type='CosineAnnealingLR',
                    T_max=end - warmup,
                    eta_min_ratio=0.0,
                    begin=warmup,
                    end=end,
                    by_epoch=False,
                ),
            ],
            randomness=dict(seed=seed),
            work_dir=str(site.work / 'logs'),
            log_level='ERROR',
        )
    )
    cfg.default_hooks.checkpoint = None  # finished measurements are kept, not steps
    for name in ('throughput', 'explosion', 'preemption'):
        del cfg.default_hooks[name]
    cfg.visualizer = dict(type='Visualizer', vis_backends=[])
    return cfg


def run_training(cfg: Config, *hooks: Hook) -> tuple[Runner, TrainingLoss]:
    """Train as a config says."""
    prepare_runtime(cfg)
    # Not from_cfg: it formats the config four times, which takes longer than a small run.
    arguments = inspect.signature(Runner).parameters
    runner = Runner(**{name: cfg[name] for name in arguments if name in cfg})
    record = TrainingLoss()
    for hook in (record, *hooks):
        runner.register_hook(hook)
    runner.train()
    return runner, record
