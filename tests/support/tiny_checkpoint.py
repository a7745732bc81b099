"""A tiny pretraining model and its checkpoint, as mmengine's Runner writes it."""

from pathlib import Path

import torch
from mmengine.config import Config

from mmmae_st.registry import MODELS

SIZE = dict(img_size=32, num_frames=8, patch_size=8)


def tiny_config(target: str = 'normalized_pixels', with_cls_token: bool = True) -> Config:
    """4 x 4 x 4 tokens; a config with what a training run has besides the model."""
    return Config(
        dict(
            default_scope='mmmae_st',
            model=dict(
                type='SpatiotemporalMAE',
                data_preprocessor=dict(
                    type='ClipDataPreprocessor',
                    mean=[114.75, 114.75, 114.75],
                    std=[57.375, 57.375, 57.375],
                ),
                backbone=dict(
                    type='SpacetimeViT',
                    arch=dict(embed_dims=32, depth=2, num_heads=2),
                    with_cls_token=with_cls_token,
                    drop_path_rate=0.1,
                    **SIZE,
                ),
                decoder=dict(
                    type='MAEDecoder',
                    encoder_dims=32,
                    embed_dims=16,
                    depth=1,
                    num_heads=2,
                    cls_token='own' if with_cls_token else 'none',
                    encoder_cls_token=with_cls_token,
                    **SIZE,
                ),
                head=dict(type='MAEHead', embed_dims=16, patch_size=8, target=target),
            ),
            train_dataloader=dict(
                batch_size=1,
                dataset=dict(
                    type='VideoDataset',
                    data_root='/secret/folder',
                    pipeline=[
                        dict(type='LoadClips', clip_len=8, frame_interval=2, num_clips=2),
                        dict(type='ClipRandomResizedCrop', size=32, scale=(0.5, 1.0)),
                        dict(type='RandomMasking', ratio=0.75, patch_size=8),
                        dict(type='PackClips'),
                    ],
                ),
            ),
        )
    )


def write_tiny_checkpoint(path: Path, cfg: Config | None = None, seed: int = 0) -> torch.nn.Module:
    """Write a checkpoint with optimiser state and the config's text; returns the model."""
    cfg = tiny_config() if cfg is None else cfg
    torch.manual_seed(seed)
    model = MODELS.build(cfg.model)
    for parameter in model.parameters():  # position tables and biases begin as zeros
        parameter.data += 0.02 * torch.randn_like(parameter)
    torch.save(
        dict(
            meta=dict(cfg=cfg.pretty_text, epoch=1, iter=10),
            state_dict=model.state_dict(),
            optimizer=dict(state={0: dict(exp_avg=torch.zeros(100_000))}),
            message_hub={},
        ),
        path,
    )
    return model.eval()
