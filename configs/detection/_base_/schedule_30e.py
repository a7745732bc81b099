# 30 epochs, warm-up 5, then a cosine to zero; both advance every iteration.
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=30, val_begin=1, val_interval=5)
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
        T_max=25,
        eta_min=0.0,
        begin=5,
        end=30,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
