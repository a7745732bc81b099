# V-JEPA 2's ViT-L, from Meta's or Hugging Face's file: 16 frames, every fourth, of 256 pixels.
# ViT-H is arch='huge', ViT-g arch='giant_xformers' with mlp_ratio=48/11.
_base_ = 'vitl_k400.py'

backbone = dict(img_size=256, num_frames=16, pos_embed='rope', with_cls_token=False)
data_preprocessor = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
pipeline = _base_.pipeline
pipeline[1].short_side = pipeline[2].size = 256
train_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = dict(dataset=dict(pipeline=pipeline))
