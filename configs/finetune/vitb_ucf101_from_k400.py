# Intermediate fine-tuning: from the recogniser fine-tuned on Kinetics-400.
_base_ = 'vitb_ucf101.py'

model = dict(
    backbone=dict(init_cfg=dict(checkpoint='work_dirs/vitb_k400/epoch_75.pth')),
)
