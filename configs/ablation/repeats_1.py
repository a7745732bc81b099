# 1 clip of each decoded video at 800 effective epochs: 800 passes over the videos, and
# 64 videos per process so that an update still takes 512 clips: 512 * 3.125e-6 = 1.6e-3.
_base_ = '../mae_st_vitl_k400.py'

pipeline = _base_.train_pipeline
pipeline[0].num_clips = 1
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=pipeline))
optim_wrapper = dict(optimizer=dict(lr=1.6e-3))
auto_scale_lr = dict(base_batch_size=512)
train_cfg = dict(max_epochs=800)
schedulers = _base_.param_scheduler
schedulers[0].end = 120
schedulers[1].update(T_max=680, begin=120, end=800)
param_scheduler = schedulers
