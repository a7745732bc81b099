# ViT-B on boxes of one's own, in video files: docs/own_boxes.md. Change the paths, num_classes (in
# the four places) and, with few boxes, the batch size: --auto-scale-lr fits the learning rate.
_base_ = ['_base_/model_vitb.py', '_base_/adamw_30e.py', '_base_/runtime.py']

root = 'data/my_boxes'
num_classes = 4  # three actions, and one more: 0 is none

model = dict(roi_head=dict(bbox_head=dict(num_classes=num_classes, topk=1)))
train_pipeline = [
    dict(type='mmmae_st.LoadBoxClip', clip_len=16, frame_interval=4),
    dict(type='RandomRescale', scale_range=(256, 320)),
    dict(type='RandomCrop', size=224),
    dict(type='Flip', flip_ratio=0.5),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
test_pipeline = [
    dict(type='mmmae_st.LoadBoxClip', clip_len=16, frame_interval=4),
    dict(type='Resize', scale=(-1, 256)),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
dataset = dict(
    type='mmmae_st.BoxVideoDataset',
    _scope_='mmaction',
    label_file=f'{root}/labels.pbtxt',
    num_classes=num_classes,
    data_prefix=dict(img=f'{root}/videos'),
)
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(**dataset, ann_file=f'{root}/train.csv', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=1,  # mmaction2's AVARoIHead takes one at a time
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, ann_file=f'{root}/val.csv', pipeline=test_pipeline, test_mode=True),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type='AVAMetric',
    _scope_='mmaction',
    ann_file=f'{root}/val.csv',
    exclude_file=None,
    label_file=f'{root}/labels.pbtxt',
    num_classes=num_classes,
)
test_evaluator = val_evaluator
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
