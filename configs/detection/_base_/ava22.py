# AVA 2.2: frames at 30 per second and short side 256 below data/ava/rawframes/VIDEO/, the official
# annotations and mmaction2's person boxes below data/ava/annotations/.
#
# 16 frames, every fourth, around the annotated second, without jitter (`test_mode`), as published.
# Training crops 224 x 224; testing takes whole frames, aspect kept, padded to whole patches.
data_root = 'data/ava/rawframes'
anno_root = 'data/ava/annotations'

train_pipeline = [
    dict(type='SampleAVAFrames', clip_len=16, frame_interval=4, test_mode=True),
    dict(type='RawFrameDecode'),
    dict(type='RandomRescale', scale_range=(256, 320)),
    dict(type='RandomCrop', size=224),
    dict(type='Flip', flip_ratio=0.5),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
test_pipeline = [
    dict(type='SampleAVAFrames', clip_len=16, frame_interval=4, test_mode=True),
    dict(type='RawFrameDecode'),
    dict(type='Resize', scale=(-1, 256)),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]

train_dataloader = dict(
    batch_size=16,
    num_workers=12,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='AVADataset',
        _scope_='mmaction',
        ann_file=f'{anno_root}/ava_train_v2.2.csv',
        exclude_file=f'{anno_root}/ava_train_excluded_timestamps_v2.2.csv',
        label_file=f'{anno_root}/ava_action_list_v2.2_for_activitynet_2019.pbtxt',
        proposal_file=f'{anno_root}/ava_dense_proposals_train.FAIR.recall_93.9.pkl',
        data_prefix=dict(img=data_root),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,  # mmaction2's AVARoIHead takes one at a time
    num_workers=12,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='AVADataset',
        _scope_='mmaction',
        ann_file=f'{anno_root}/ava_val_v2.2.csv',
        exclude_file=f'{anno_root}/ava_val_excluded_timestamps_v2.2.csv',
        label_file=f'{anno_root}/ava_action_list_v2.2_for_activitynet_2019.pbtxt',
        proposal_file=f'{anno_root}/ava_dense_proposals_val.FAIR.recall_93.9.pkl',
        data_prefix=dict(img=data_root),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(
    type='AVAMetric',
    _scope_='mmaction',
    ann_file=f'{anno_root}/ava_val_v2.2.csv',
    exclude_file=f'{anno_root}/ava_val_excluded_timestamps_v2.2.csv',
    label_file=f'{anno_root}/ava_action_list_v2.2_for_activitynet_2019.pbtxt',
)
test_evaluator = val_evaluator
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
