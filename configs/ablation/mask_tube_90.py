# Space-only masking: the same patches hidden in every frame (paper: 83.5 against 84.4). As in
# PySlowFast 156 tokens are kept, so that the encoder has as much to do as with random masking.
_base_ = '../mae_st_vitl_k400.py'

pipeline = _base_.train_pipeline
pipeline[3] = dict(type='TubeMasking', ratio=0.9, rule='tokens')
train_dataloader = dict(dataset=dict(pipeline=pipeline))
