"""What a user may get wrong in configs of fine-tuning, frozen evaluation and detection."""

import copy
from pathlib import Path

import pytest
from mmengine.config import Config

from mmmae_st.config import check_config

CONFIGS = Path(__file__).parents[2] / 'configs'
# key, value, message
FINETUNE = [
    ('model.type', 'Recognizer3d', r"model\.type: no component .* did you mean 'Recognizer3D'"),
    ('model.backbone.init_cfg.prefx', 'x', r'model\.backbone\.init_cfg\.prefx: PretrainedInit'),
    ('model.cls_head.num_clases', 3, r"num_clases: .*'num_classes'"),
    ('model.cls_head.in_channels', '1024', r"cls_head\.in_channels: must be int, got '1024'"),
    ('model.cls_head.in_channels', 768, r'model\.cls_head\.in_channels: must be 1024, the width'),
    ('model.cls_head.num_classes', 3, r'model.*num_classes: .*must be the same.*=400.*=3'),
    ('model.cls_head.average_clips', 'probs', r"average_clips: must be one of \('prob', 'score'"),
    ('model.cls_head.dropout_ratio', 1.5, r'model: .*dropout probability has to be between'),
    ('model.data_preprocessor.blending.probs', [0.5], r'model\.data_preprocessor: '),
    (
        *('model.data_preprocessor.blending.augments.0.alpa', 0.8),
        r'model\.data_preprocessor\.blending\.augments\[0\]\.alpa: MixupBlending',
    ),
    ('optim_wrapper.constructor', 'LayerDecay', r'optim_wrapper\.constructor: no component'),
    ('optim_wrapper.paramwise_cfg.decay', 1, r'optim_wrapper\.paramwise_cfg: .*layer_decay_rate'),
    ('optim_wrapper.paramwise_cfg.layer_decay_rate', 1.7, r'paramwise_cfg: layer_decay_rate must'),
    ('default_hooks.checkpoint.rule', 'max', r'default_hooks\.checkpoint: .*rule must be'),
    ('val_evaluator.metric_lst', 1, r'val_evaluator\.metric_lst: AccMetric has no such argument'),
]
FROZEN = [
    ('backbone.arch', 'larg', r'backbone: arch'),
    ('knn.num_neighbor', (1,), r"knn\.num_neighbor: .* did you mean 'num_neighbors'"),
    ('knn.temperature', '0.1', r"knn\.temperature: must be float, got '0\.1'"),
    ('linear.epochs', '5', r"linear\.epochs: must be int, got '5'"),
    ('attentive.lr', 1, r"attentive\.lr: .* did you mean 'lrs'"),
    ('attentive.num_heads', 7, r'attentive\.num_heads: num_heads must divide the width 1024'),
]
DETECTION = [
    ('model.roi_head.type', 'AVARoIHeads', r"roi_head\.type: .* did you mean 'AVARoIHead'"),
    ('model.roi_head.bbox_head.num_classes', '8', r"bbox_head\.num_classes: must be int, got '8'"),
    ('model.roi_head.bbox_head.in_channels', 768, r'bbox_head\.in_channels: must be 1024'),
    (
        *('model.train_cfg.rcnn.assigner.pos_iou_thrr', 0.1),
        r'model\.train_cfg\.rcnn\.assigner\.pos_iou_thrr: ',
    ),
    ('model.train_cfg.rcnn.assigner.type', 'MaxIoU', r'rcnn\.assigner\.type: no component'),
    ('train_dataloader.dataset.ann_fil', 'x', r"train_dataloader\.dataset\.ann_fil: .*'ann_file'"),
    ('default_hooks.explosion.windw', 3, r"explosion\.windw: .* did you mean 'window'"),
]


@pytest.mark.parametrize(
    'file, needs, changes',
    [
        ('finetune/vitl_k400.py', 'mmaction', FINETUNE),
        ('frozen/vitl_k400.py', 'mmmae_st', FROZEN),
        ('detection/mae_st_vitl_ava22.py', 'mmdet', DETECTION),
    ],
)
def test_other_families(file, needs, changes):
    pytest.importorskip(needs)
    cfg = Config.fromfile(CONFIGS / file)
    check_config(cfg)
    for key, value, message in changes:
        changed = copy.deepcopy(cfg)
        changed.merge_from_dict({key: value})
        with pytest.raises(ValueError, match=message):
            check_config(changed)
