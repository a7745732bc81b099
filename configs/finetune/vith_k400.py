# ViT-H, Kinetics-400: 75 passes x 2 clips. PySlowFast's figure; the paper's table has 75 effective
# epochs, which are 38 passes: max_epochs=38, T_max=33, end=38.
_base_ = 'vitl_k400.py'

model = dict(
    backbone=dict(
        arch='huge',
        init_cfg=dict(checkpoint='work_dirs/mae_st_vith_k400/epoch_400.pth'),
    ),
    cls_head=dict(in_channels=1280, dropout_ratio=0.5),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.8))
train_cfg = dict(max_epochs=75)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(T_max=70, end=75)
