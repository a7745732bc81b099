_base_ = 'model_vitl.py'

model = dict(
    backbone=dict(
        arch='huge',
        with_cp=True,
        init_cfg=dict(checkpoint='work_dirs/mae_st_vith_k400/epoch_400.pth'),
    ),
    roi_head=dict(bbox_head=dict(in_channels=1280)),
)
