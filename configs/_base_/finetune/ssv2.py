# Something-Something v2: one frame from each of 16 equal segments, no flip (left and right are
# part of the labels' meaning). Test: 1 x 3 views.
_base_ = 'k400.py'

train_pipeline = [
    dict(type='LoadClips', clip_len=16, sampling='segment', num_clips=2),
    dict(type='ClipRandAugment', policy='rand-m7-mstd0.5-inc1', interpolation='bicubic'),
    dict(type='ClipRandomResizedCrop', size=224, scale=(0.08, 1.0)),
    dict(type='ClipRandomErasing', prob=0.25),
    dict(type='PackActionClips', split_views=True),
]
val_pipeline = [
    dict(
        type='LoadClips',
        clip_len=16,
        sampling='segment_center',
        unreadable='blank',
    ),
    dict(type='ClipResize', short_side=224),
    dict(type='ClipCenterCrop', size=224),
    dict(type='PackActionClips'),
]
test_pipeline = [
    dict(
        type='LoadClips',
        clip_len=16,
        sampling='segment_center',
        unreadable='blank',
    ),
    dict(type='ClipResize', short_side=224),
    dict(type='ClipThreeCrop', size=224),
    dict(type='PackActionClips'),
]
data = dict(data_root='data/sthv2', data_prefix=dict(video='videos'))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline, **data))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline, **data))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline, **data))
