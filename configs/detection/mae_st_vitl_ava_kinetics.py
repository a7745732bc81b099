# ViT-L, AVA-Kinetics, with the recipe of AVA 2.2.
_base_ = [
    '_base_/model_vitl.py',
    '_base_/ava_kinetics.py',
    '_base_/sgd_30e.py',
    '_base_/runtime.py',
]
