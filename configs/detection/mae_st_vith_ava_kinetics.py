# ViT-H, AVA-Kinetics, with the recipe of AVA 2.2.
_base_ = [
    '_base_/model_vith.py',
    '_base_/ava_kinetics.py',
    '_base_/sgd_30e.py',
    '_base_/runtime.py',
]

optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.8))
