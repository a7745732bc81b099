# Something-Something v2 (paper): SGD, 40 effective epochs = 20 passes over the videos x 2 clips.
#
# Learning rate: 0.64 for 256 videos per update, that is 2.5e-3 per video. 8 processes x 2 videos
# = 16 videos per update: 16 * 2.5e-3 = 0.04. The 0.64, the weight decay and the warm-up are from
# memory of the paper's appendix and have not been checked against it: try half and twice.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.04, momentum=0.9, weight_decay=1e-4),
    constructor='mmmae_st.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.75),
    clip_grad=dict(max_norm=5.0),
)
auto_scale_lr = dict(base_batch_size=16)

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=20, val_interval=4)
param_scheduler = [
    dict(
        type='mmmae_st.WarmupLR',
        begin=0,
        end=2,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        T_max=18,
        eta_min=0.0,
        begin=2,
        end=20,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
