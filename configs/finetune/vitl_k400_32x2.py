# ViT-L on clips of 32 frames, every second one, from the 16-frame pretraining: the position
# embeddings are interpolated along time when the checkpoint is read.
_base_ = 'vitl_k400.py'

model = dict(backbone=dict(num_frames=32))
sampling = dict(clip_len=32, frame_interval=2)
train_pipeline = _base_.train_pipeline
train_pipeline[0].update(sampling)
val_pipeline = _base_.val_pipeline
val_pipeline[0].update(sampling)
test_pipeline = _base_.test_pipeline
test_pipeline[0].update(sampling)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
