# Centre crop and no other augmentation (paper: close to the random crop).
_base_ = '../mae_st_vitl_k400.py'

pipeline = _base_.train_pipeline
pipeline[1:3] = [
    dict(type='ClipResize', short_side=224),
    dict(type='ClipCenterCrop', size=224),
]
train_dataloader = dict(dataset=dict(pipeline=pipeline))
