# ViT-L, AVA 2.2, 16 x 4, SGD recipe of the paper, on 8 GPUs. Published: 31.1 mAP after 1600
# effective epochs of pretraining on Kinetics-400, 33.1 on Kinetics-700.
_base_ = [
    '_base_/model_vitl.py',
    '_base_/ava22.py',
    '_base_/sgd_30e.py',
    '_base_/runtime.py',
]
