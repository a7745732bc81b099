# 95 % masked; the default is 90 %.
_base_ = '../mae_st_vitl_k400.py'

pipeline = _base_.train_pipeline
pipeline[3].ratio = 0.95
train_dataloader = dict(dataset=dict(pipeline=pipeline))
