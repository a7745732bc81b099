# The smallest run that goes through every part: seconds on a CPU, for tests and for trying out.
_base_ = 'quickstart.py'

model = dict(
    backbone=dict(
        arch=dict(embed_dims=32, depth=2, num_heads=2),
        img_size=32,
        num_frames=8,
        pos_embed='separable',
    ),
    decoder=dict(embed_dims=32, depth=1, num_heads=2, pos_embed='separable'),
    head=dict(target='normalized_pixels'),
)
train_pipeline = [
    dict(type='LoadClips', clip_len=8, frame_interval=2, num_clips=2),
    dict(type='ClipRandomResizedCrop', size=32, scale=(0.5, 1.0)),
    dict(type='ClipFlip', prob=0.5),
    dict(type='RandomMasking', ratio=0.75, patch_size=8),
    dict(type='PackClips'),
]
val_pipeline = [
    dict(type='LoadClips', clip_len=8, frame_interval=2, sampling='uniform', num_clips=1),
    dict(type='ClipResize', short_side=32),
    dict(type='ClipCenterCrop', size=32),
    dict(type='RandomMasking', ratio=0.75, patch_size=8),
    dict(type='PackClips'),
]
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(pipeline=train_pipeline)
)
val_dataloader = dict(batch_size=2, num_workers=0, dataset=dict(pipeline=val_pipeline))
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=2, val_interval=1)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=2, eta_min=0.0, end=2, convert_to_iter_based=True),
]
default_hooks = dict(
    logger=dict(interval=1),
    checkpoint=dict(interval=1, max_keep_ckpts=2),
    throughput=dict(max_data_share=1.0),
    reconstruction=dict(interval=2),
)
