# ViT-B on clips of 256 x 256 pixels: 2048 tokens, 204 of them visible.
_base_ = 'mae_st_vitb_k400.py'

model = dict(backbone=dict(img_size=256))
pipeline = _base_.train_pipeline
pipeline[1].size = 256
train_dataloader = dict(dataset=dict(pipeline=pipeline))
