# ViT-B, otherwise as ViT-L; layer decay and drop path as on Kinetics, as none are published.
_base_ = 'vitl_ssv2.py'

model = dict(
    backbone=dict(
        arch='base',
        drop_path_rate=0.1,
        init_cfg=dict(checkpoint='work_dirs/mae_st_vitb_k400/epoch_200.pth'),
    ),
    cls_head=dict(in_channels=768),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.65))
