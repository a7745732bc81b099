# ViT-B on HMDB51 (first split, 3570 training videos), otherwise as on UCF101.
_base_ = 'vitb_ucf101.py'

model = _base_.model
model.cls_head.num_classes = 51
model.data_preprocessor.blending.augments[0].num_classes = 51
model.data_preprocessor.blending.augments[1].num_classes = 51
train_dataloader = dict(dataset=dict(data_root='data/hmdb51'))
val_dataloader = dict(dataset=dict(data_root='data/hmdb51'))
test_dataloader = dict(dataset=dict(data_root='data/hmdb51'))
