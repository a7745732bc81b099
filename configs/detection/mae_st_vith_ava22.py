# ViT-H, AVA 2.2, SGD; the layer decay is that of its Kinetics-400 recipe.
_base_ = [
    '_base_/model_vith.py',
    '_base_/ava22.py',
    '_base_/sgd_30e.py',
    '_base_/runtime.py',
]

optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.8))
