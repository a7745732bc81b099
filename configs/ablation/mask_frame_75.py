# Time-only masking: whole time slices hidden, 6 of 8 (paper: 79.1 against 84.4).
_base_ = '../mae_st_vitl_k400.py'

pipeline = _base_.train_pipeline
pipeline[3] = dict(type='FrameMasking', ratio=0.75)
train_dataloader = dict(dataset=dict(pipeline=pipeline))
