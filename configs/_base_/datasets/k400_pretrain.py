# Kinetics-400, videos listed one a line; labels, if there are any, are not used.
train_pipeline = [
    dict(type='LoadClips', clip_len=16, frame_interval=4, num_clips=4),
    dict(type='ClipRandomResizedCrop', size=224, scale=(0.5, 1.0)),
    dict(type='ClipFlip', prob=0.5),
    dict(type='RandomMasking', ratio=0.9),
    dict(type='PackClips'),
]
train_dataloader = dict(
    batch_size=16,  # videos per process; clips are 4 times as many
    num_workers=12,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='EpochSampler', shuffle=True),
    dataset=dict(
        type='VideoDataset',
        data_root='data/kinetics400',
        ann_file='train.txt',
        data_prefix=dict(video='videos_train'),
        pipeline=train_pipeline,
    ),
)
