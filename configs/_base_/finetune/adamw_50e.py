# 100 effective epochs = 50 passes over the videos x 2 clips of each, warm-up 5 passes.
#
# Learning rate: 3e-4 for 16 videos per update (PySlowFast), that is 1.875e-5 per video, the clips
# of a video not counted. 8 processes x 2 videos = 16 videos per update: 16 * 1.875e-5 = 3e-4.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=3e-4, betas=(0.9, 0.999), weight_decay=0.05, fused=True),
    constructor='mmmae_st.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.75),
    clip_grad=dict(max_norm=5.0),
)
auto_scale_lr = dict(base_batch_size=16)

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=50, val_interval=5)
param_scheduler = [
    dict(
        type='mmmae_st.WarmupLR',
        begin=0,
        end=5,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        T_max=45,
        eta_min=0.0,
        begin=5,
        end=50,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
