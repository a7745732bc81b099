# ViT-B pretrained on Kinetics-400 and fine-tuned on Kinetics-600, otherwise as on Kinetics-400.
_base_ = 'vitb_k400.py'

model = _base_.model
model.cls_head.num_classes = 600
model.data_preprocessor.blending.augments[0].num_classes = 600
model.data_preprocessor.blending.augments[1].num_classes = 600
train_dataloader = dict(dataset=dict(data_root='data/kinetics600'))
val_dataloader = dict(dataset=dict(data_root='data/kinetics600'))
test_dataloader = dict(dataset=dict(data_root='data/kinetics600'))
