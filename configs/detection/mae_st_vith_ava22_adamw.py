# ViT-H, AVA 2.2, AdamW. VideoMAE's ViT-H script: 5e-4 for 256 clips per update:
# 5e-4 * 128 / 256 = 2.5e-4 for 128, layer decay 0.8.
_base_ = [
    '_base_/model_vith.py',
    '_base_/ava22.py',
    '_base_/adamw_30e.py',
    '_base_/runtime.py',
]

optim_wrapper = dict(optimizer=dict(lr=2.5e-4), paramwise_cfg=dict(layer_decay_rate=0.8))
