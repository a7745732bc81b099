# ViT-L pretrained on Kinetics-400, fine-tuned on Something-Something v2.
_base_ = [
    '../_base_/finetune/recognizer.py',
    '../_base_/finetune/ssv2.py',
    '../_base_/finetune/sgd_20e.py',
    '../_base_/finetune/runtime.py',
]

model = dict(
    data_preprocessor=dict(
        blending=dict(
            augments=[
                dict(type='MixupBlending', num_classes=174, alpha=0.8),
                dict(type='CutmixBlending', num_classes=174, alpha=1.0),
            ]
        )
    ),
    cls_head=dict(num_classes=174, dropout_ratio=0.5),
)
