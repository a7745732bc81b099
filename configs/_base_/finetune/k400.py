# Kinetics-400, lists with one `path label` a line. Training: 2 clips of each decoded video, each
# a sample of its own; RandAugment changes whole frames, before the crop, as in the published codes.
# Validation: the central clip. Test: 7 x 3 views, probabilities averaged.
train_pipeline = [
    dict(type='LoadClips', clip_len=16, frame_interval=4, num_clips=2),
    dict(type='ClipRandAugment', policy='rand-m7-mstd0.5-inc1', interpolation='bicubic'),
    dict(type='ClipRandomResizedCrop', size=224, scale=(0.08, 1.0)),
    dict(type='ClipFlip', prob=0.5),
    dict(type='ClipRandomErasing', prob=0.25),
    dict(type='PackActionClips', split_views=True),
]
val_pipeline = [
    dict(
        type='LoadClips',
        clip_len=16,
        frame_interval=4,
        sampling='uniform',
        num_clips=1,
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
        frame_interval=4,
        sampling='uniform',
        num_clips=7,
        unreadable='blank',
    ),
    dict(type='ClipResize', short_side=224),
    dict(type='ClipThreeCrop', size=224),
    dict(type='PackActionClips'),
]

train_dataloader = dict(
    batch_size=2,  # videos per process; clips are twice as many
    num_workers=12,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='mmmae_st.EpochSampler', shuffle=True),
    collate_fn=dict(type='repeat_pseudo_collate'),
    dataset=dict(
        type='VideoDataset',
        _scope_='mmmae_st',
        data_root='data/kinetics400',
        ann_file='train.txt',
        data_prefix=dict(video='videos_train'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=12,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='VideoDataset',
        _scope_='mmmae_st',
        data_root='data/kinetics400',
        ann_file='val.txt',
        data_prefix=dict(video='videos_val'),
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=1,  # videos; 21 views
    num_workers=12,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='VideoDataset',
        _scope_='mmmae_st',
        data_root='data/kinetics400',
        ann_file='val.txt',
        data_prefix=dict(video='videos_val'),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)

val_evaluator = dict(type='AccMetric', _scope_='mmaction', metric_list=('top_k_accuracy',))
test_evaluator = val_evaluator
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
