# Encoder, norm of the mean of the patch tokens, dropout, linear layer.
model = dict(
    type='Recognizer3D',
    _scope_='mmaction',
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[114.75, 114.75, 114.75],  # 0.45 of 255
        std=[57.375, 57.375, 57.375],  # 0.225 of 255
        format_shape='NCTHW',
        blending=dict(
            type='RandomBatchAugment',
            augments=[
                dict(type='MixupBlending', num_classes=400, alpha=0.8),
                dict(type='CutmixBlending', num_classes=400, alpha=1.0),
            ],
            probs=[0.5, 0.5],
        ),
    ),
    backbone=dict(
        type='mmmae_st.SpacetimeViT',
        arch='large',
        drop_path_rate=0.2,
        out_type='pooled',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/mae_st_vitl_k400/epoch_200.pth',
            prefix='backbone.',
        ),
    ),
    cls_head=dict(
        type='TimeSformerHead',
        num_classes=400,
        in_channels=1024,
        dropout_ratio=0.3,
        init_std=2e-5,  # 0.001 of 0.02
        label_smooth_eps=0.1,
        average_clips='prob',
    ),
)
