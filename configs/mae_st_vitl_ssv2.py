# ViT-L on Something-Something v2: one frame from each of 16 equal segments of a video, no flip
# (left and right are part of the labels' meaning).
_base_ = 'mae_st_vitl_k400.py'

train_pipeline = [
    dict(type='LoadClips', clip_len=16, sampling='segment', num_clips=4),
    dict(type='ClipRandomResizedCrop', size=224, scale=(0.5, 1.0)),
    dict(type='RandomMasking', ratio=0.9),
    dict(type='PackClips'),
]
train_dataloader = dict(
    dataset=dict(data_root='data/sthv2', data_prefix=dict(video='videos'), pipeline=train_pipeline)
)
