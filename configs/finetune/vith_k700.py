# ViT-H pretrained on Kinetics-400 and fine-tuned on Kinetics-700, otherwise as on Kinetics-400.
_base_ = 'vith_k400.py'

model = _base_.model
model.cls_head.num_classes = 700
model.data_preprocessor.blending.augments[0].num_classes = 700
model.data_preprocessor.blending.augments[1].num_classes = 700
train_dataloader = dict(dataset=dict(data_root='data/kinetics700'))
val_dataloader = dict(dataset=dict(data_root='data/kinetics700'))
test_dataloader = dict(dataset=dict(data_root='data/kinetics700'))
