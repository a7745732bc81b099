# Fast R-CNN on given boxes: 8 x H/16 x W/16 features, mean over time, 7 x 7 RoIAlign, maximum over
# the box, one linear layer. Trained on the annotated boxes and the proposals that overlap one by
# 0.9 or more.
model = dict(
    type='FastRCNN',
    _scope_='mmdet',
    data_preprocessor=dict(
        type='mmmae_st.DetectionDataPreprocessor',
        mean=[114.75, 114.75, 114.75],  # 0.45 of 255
        std=[57.375, 57.375, 57.375],  # 0.225 of 255
    ),
    backbone=dict(
        type='mmmae_st.SpacetimeViT',
        arch='large',
        drop_path_rate=0.2,
        out_type='featmap',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/mae_st_vitl_k400/epoch_200.pth',
            prefix='backbone.',
        ),
    ),
    roi_head=dict(
        type='AVARoIHead',
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor3D',
            roi_layer_type='RoIAlign',
            featmap_stride=16,
            output_size=7,
            with_temporal_pool=True,
        ),
        bbox_head=dict(
            type='BBoxHeadAVA',
            background_class=True,
            in_channels=1024,
            num_classes=81,  # 80 actions; 0 is not one
            multilabel=True,
            dropout_ratio=0.5,
            dropout_before_pool=False,
        ),
    ),
    train_cfg=dict(
        rcnn=dict(
            assigner=dict(
                type='MaxIoUAssignerAVA', pos_iou_thr=0.9, neg_iou_thr=0.9, min_pos_iou=0.9
            ),
            sampler=dict(
                type='RandomSampler',
                num=32,
                pos_fraction=1,
                neg_pos_ub=-1,
                add_gt_as_proposals=True,
            ),
            pos_weight=1.0,
        )
    ),
    test_cfg=dict(rcnn=None),
)
