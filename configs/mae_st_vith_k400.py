# ViT-H, 1600 effective epochs: 400 passes over the videos x 4 clips, warm-up 60 = 240 effective.
# 8 videos per process: 8 processes x 8 = 64 videos per update, 64 * 3.125e-6 = 2e-4.
_base_ = [
    '_base_/models/mae_vith.py',
    '_base_/datasets/k400_pretrain.py',
    '_base_/schedules/pretrain_200e.py',
    '_base_/pretrain_runtime.py',
]

train_dataloader = dict(batch_size=8)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
auto_scale_lr = dict(base_batch_size=64)
train_cfg = dict(max_epochs=400)
param_scheduler = [
    dict(
        type='WarmupLR',
        begin=0,
        end=60,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        T_max=340,
        eta_min=0.0,
        begin=60,
        end=400,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
