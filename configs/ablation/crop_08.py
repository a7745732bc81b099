# Crops of 8 to 100 % of the area (paper: worse than 50 to 100 %).
_base_ = '../mae_st_vitl_k400.py'

pipeline = _base_.train_pipeline
pipeline[1].scale = (0.08, 1.0)
train_dataloader = dict(dataset=dict(pipeline=pipeline))
