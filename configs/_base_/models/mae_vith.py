model = dict(
    type='SpatiotemporalMAE',
    data_preprocessor=dict(
        type='ClipDataPreprocessor',
        mean=[114.75, 114.75, 114.75],  # 0.45 of 255
        std=[57.375, 57.375, 57.375],  # 0.225 of 255
    ),
    backbone=dict(type='SpacetimeViT', arch='huge'),
    decoder=dict(type='MAEDecoder', embed_dims=512, depth=4, num_heads=16),
    head=dict(type='MAEHead', target='normalized_pixels', frames='linspace'),
)
