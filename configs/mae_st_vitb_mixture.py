# ViT-B on three sources: half of the clips from Kinetics-400, a quarter each from the raw frames of
# Something-Something v2 and from whatever videos lie below a folder, there at half the frame rate.
# An epoch is as long as one of Kinetics-400, so that the schedule is that of mae_st_vitb_k400.py.
_base_ = 'mae_st_vitb_k400.py'

load = dict(type='LoadClips', clip_len=16, num_clips=4)
crop, flip, *rest = _base_.train_pipeline[1:]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='MixedVideoDataset',
        datasets=[
            dict(
                type='VideoDataset',
                data_root='data/kinetics400',
                ann_file='train.txt',
                data_prefix=dict(video='videos_train'),
                pipeline=_base_.train_pipeline,
            ),
            dict(
                type='VideoDataset',
                data_root='data/sthv2',
                ann_file='train.txt',
                data_prefix=dict(video='frames'),
                frame_tmpl='img_{:05}.jpg',
                pipeline=[dict(load, sampling='segment'), crop, *rest],
            ),
            dict(
                type='VideoDataset',
                data_root='data/uncurated',
                pipeline=[dict(load, frame_interval=8), crop, flip, *rest],
            ),
        ],
        weights=[0.5, 0.25, 0.25],
        length=240_000,
    )
)
