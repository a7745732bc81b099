# 2 clips of each decoded video at 800 effective epochs: 400 passes over the videos, and
# 32 videos per process so that an update still takes 512 clips: 256 * 3.125e-6 = 8e-4.
_base_ = '../mae_st_vitl_k400.py'

pipeline = _base_.train_pipeline
pipeline[0].num_clips = 2
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=pipeline))
optim_wrapper = dict(optimizer=dict(lr=8e-4))
auto_scale_lr = dict(base_batch_size=256)
train_cfg = dict(max_epochs=400)
schedulers = _base_.param_scheduler
schedulers[0].end = 60
schedulers[1].update(T_max=340, begin=60, end=400)
param_scheduler = schedulers
