# Intermediate fine-tuning: pretrained on Kinetics-400, fine-tuned there with labels, then here.
_base_ = 'vitl_ssv2.py'

model = dict(
    backbone=dict(init_cfg=dict(checkpoint='work_dirs/vitl_k400/epoch_50.pth')),
)
