# A small ViT on small clips: minutes on two CPU cores. tools/quickstart.sh runs it.
# 8 frames of 64 x 64 pixels in patches of 2 x 8 x 8 are 4 x 8 x 8 = 256 tokens, 25 of them visible.
_base_ = '_base_/pretrain_runtime.py'

model = dict(
    type='SpatiotemporalMAE',
    data_preprocessor=dict(type='ClipDataPreprocessor'),
    backbone=dict(
        type='SpacetimeViT',
        arch=dict(embed_dims=192, depth=4, num_heads=3),
        img_size=64,
        num_frames=8,
        patch_size=8,
        pos_embed='sincos',
    ),
    decoder=dict(type='MAEDecoder', embed_dims=192, depth=2, num_heads=6, pos_embed='sincos'),
    head=dict(type='MAEHead', target='pixels'),
)

data_root = 'data/quickstart'
train_pipeline = [
    dict(type='LoadClips', clip_len=8, frame_interval=2, num_clips=4),
    dict(type='ClipRandomResizedCrop', size=64, scale=(0.5, 1.0)),
    dict(type='ClipFlip', prob=0.5),
    dict(type='RandomMasking', ratio=0.9, patch_size=8),
    dict(type='PackClips'),
]
val_pipeline = [
    dict(type='LoadClips', clip_len=8, frame_interval=2, sampling='uniform', num_clips=1),
    dict(type='ClipResize', short_side=64),
    dict(type='ClipCenterCrop', size=64),
    dict(type='RandomMasking', ratio=0.9, patch_size=8),
    dict(type='PackClips'),
]
train_dataloader = dict(
    batch_size=4,  # videos; 16 clips
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='EpochSampler', shuffle=True),
    dataset=dict(
        type='VideoDataset',
        data_root=data_root,
        data_prefix=dict(video='train'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='VideoDataset',
        data_root=data_root,
        data_prefix=dict(video='val'),
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(type='ReconstructionLoss')
val_cfg = dict(type='ValLoop')

# Few steps on few videos want a larger learning rate and less damping than a long run.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, betas=(0.9, 0.95), weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=1.0),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
)
auto_scale_lr = dict(base_batch_size=4)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=11, val_interval=11)
param_scheduler = [
    dict(type='WarmupLR', begin=0, end=1, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        T_max=10,
        eta_min=0.0,
        begin=1,
        end=11,
        convert_to_iter_based=True,
    ),
]

default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(interval=5, max_keep_ckpts=1),
    throughput=dict(max_data_share=0.5),
    reconstruction=dict(interval=100),
)
