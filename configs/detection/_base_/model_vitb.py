_base_ = 'model_vitl.py'

model = dict(
    backbone=dict(
        arch='base', init_cfg=dict(checkpoint='work_dirs/mae_st_vitb_k400/epoch_200.pth')
    ),
    roi_head=dict(bbox_head=dict(in_channels=768)),
)
