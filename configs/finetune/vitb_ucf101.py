# ViT-B on UCF101 (first split, 9537 training videos). Few data: the Kinetics recipe of ViT-B with
# more dropout and drop path, half of the learning rate and 5 x 3 views in testing. No published
# recipe.
_base_ = 'vitb_k400.py'

model = _base_.model
model.backbone.drop_path_rate = 0.2
model.cls_head.update(num_classes=101, dropout_ratio=0.5)
model.data_preprocessor.blending.augments[0].num_classes = 101
model.data_preprocessor.blending.augments[1].num_classes = 101

test_pipeline = _base_.test_pipeline
test_pipeline[0].num_clips = 5
train_dataloader = dict(
    dataset=dict(
        data_root='data/ucf101', ann_file='train_split1.txt', data_prefix=dict(video='videos')
    )
)
val_dataloader = dict(
    dataset=dict(
        data_root='data/ucf101', ann_file='test_split1.txt', data_prefix=dict(video='videos')
    )
)
test_dataloader = dict(
    dataset=dict(
        data_root='data/ucf101',
        ann_file='test_split1.txt',
        data_prefix=dict(video='videos'),
        pipeline=test_pipeline,
    )
)
optim_wrapper = dict(optimizer=dict(lr=3e-4))
