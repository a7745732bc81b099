# 800 effective epochs = 200 passes over the videos x 4 clips of each; warm-up 120 = 30 x 4.
#
# Learning rate: 1.6e-3 for 512 videos per update (paper; PySlowFast's ViT-L agrees), that is
# 3.125e-6 per video, the clips of a video not counted. 8 processes x 16 videos = 128 videos:
# 128 * 3.125e-6 = 4e-4. (mae_st's own scripts use twice as much, 6.25e-6 per video.)
optim_wrapper = dict(
    type='BFloat16OptimWrapper',
    optimizer=dict(type='AdamW', lr=4e-4, betas=(0.9, 0.95), weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=0.02),
    # No decay for vectors: biases and norms. The class token and the position embeddings decay.
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
)
auto_scale_lr = dict(base_batch_size=128)

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=200)
param_scheduler = [
    dict(
        type='WarmupLR',
        begin=0,
        end=30,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        T_max=170,
        eta_min=0.0,
        begin=30,
        end=200,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
