"""Pretraining with the project's own parts."""

from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from .recording import SnapshotHook, save_weights
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
    cfg = runner_config(site, model, schedule, scale.clips.num_train, seed)
    cfg.train_dataloader = loader_config(site, 'train', pipeline, schedule.batch, shuffle=True)
    cfg.optim_wrapper = dict(
        type=wrapper_type(scale),
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
