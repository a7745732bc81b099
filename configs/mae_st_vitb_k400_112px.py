# ViT-B on clips of 112 x 112 pixels: 392 tokens, 39 of them visible.
_base_ = 'mae_st_vitb_k400.py'

model = dict(backbone=dict(img_size=112))
pipeline = _base_.train_pipeline
pipeline[1].size = 112
train_dataloader = dict(dataset=dict(pipeline=pipeline))
