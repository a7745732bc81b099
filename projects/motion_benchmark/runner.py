"""What every run of the study is made of: encoder, clips, schedule, and the Runner."""

import inspect
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmmae_st.engine.runner.launch import prepare_runtime

from . import parts  # noqa: F401  (registers what the configs name)
from .clips import list_file
from .recording import TrainingLoss
from .scales import Scale, Schedule

RUNTIME = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'default_runtime.py'
WARMUP = 0.1  # of the steps


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


def wrapper_type(scale: Scale) -> str:
    """The optimiser's wrapper."""
    return 'BFloat16OptimWrapper' if scale.bfloat16 else 'OptimWrapper'


def runner_config(
    site: Site, model: dict, schedule: Schedule, num_videos: int, seed: int
) -> Config:
    """Config of a Runner that trains on so many videos; the loader and optimiser are to come."""
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
