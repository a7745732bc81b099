# ViT-L, Kinetics-400, 16 x 224 x 224, 90 % masked, 800 effective epochs on 8 GPUs.
_base_ = [
    '_base_/models/mae_vitl.py',
    '_base_/datasets/k400_pretrain.py',
    '_base_/schedules/pretrain_200e.py',
    '_base_/pretrain_runtime.py',
]
