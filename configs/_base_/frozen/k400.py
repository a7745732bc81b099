# Kinetics-400, the central clip of each video; k-NN, linear and attentive probe on what a frozen
# encoder makes of it (tools/frozen_eval.py).
default_scope = 'mmmae_st'
pipeline = [
    dict(type='LoadClips', clip_len=16, frame_interval=4, sampling='uniform', num_clips=1),
    dict(type='ClipResize', short_side=224),
    dict(type='ClipCenterCrop', size=224),
    dict(type='PackClips'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=12,
    pin_memory=True,
    sampler=dict(type='EpochSampler', shuffle=False),
    dataset=dict(
        type='VideoDataset',
        data_root='data/kinetics400',
        ann_file='train.txt',
        data_prefix=dict(video='videos_train'),
        pipeline=pipeline,
    ),
)
test_dataloader = dict(
    batch_size=32,
    num_workers=12,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='VideoDataset',
        data_root='data/kinetics400',
        ann_file='val.txt',
        data_prefix=dict(video='videos_val'),
        pipeline=pipeline,
        test_mode=True,
    ),
)

data_preprocessor = dict(type='ClipDataPreprocessor')
knn = dict(num_neighbors=(10, 20, 100, 200), temperature=0.07)
linear = dict(lrs=(3e-4, 1e-3, 3e-3, 1e-2), epochs=50, batch_size=1024, weight_decay=1e-4)
# The tokens of a video are kept as float16: 8 * 4 * 4 of width 1024 are 256 KiB, 60 GiB for the
# training set. token_grid=None keeps all 1568 of them.
attentive = dict(
    token_grid=(8, 4, 4),
    num_heads=16,
    lrs=(1e-4, 3e-4, 1e-3),
    epochs=20,
    batch_size=256,
    weight_decay=0.05,
)
