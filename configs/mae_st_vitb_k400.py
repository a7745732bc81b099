# ViT-B, otherwise as ViT-L.
_base_ = [
    '_base_/models/mae_vitb.py',
    '_base_/datasets/k400_pretrain.py',
    '_base_/schedules/pretrain_200e.py',
    '_base_/pretrain_runtime.py',
]
