# Spacetime cubes hidden, 75 % (paper: 83.2 against 84.4).
_base_ = '../mae_st_vitl_k400.py'

pipeline = _base_.train_pipeline
pipeline[3] = dict(type='BlockMasking', ratio=0.75)
train_dataloader = dict(dataset=dict(pipeline=pipeline))
