# ViT-B, Kinetics-400: 75 passes x 2 clips = 150 effective epochs (PySlowFast and the paper).
#
# PySlowFast's learning rate is 6e-4 at a batch that its file leaves open. ViT-L's rate per video,
# 1.875e-5, gives it at 32 videos per update: 8 processes x 4 videos.
_base_ = 'vitl_k400.py'

model = dict(
    backbone=dict(
        arch='base',
        drop_path_rate=0.1,
        init_cfg=dict(checkpoint='work_dirs/mae_st_vitb_k400/epoch_200.pth'),
    ),
    cls_head=dict(in_channels=768),
)
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(optimizer=dict(lr=6e-4), paramwise_cfg=dict(layer_decay_rate=0.65))
auto_scale_lr = dict(base_batch_size=32)
train_cfg = dict(max_epochs=75)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(T_max=70, end=75)
