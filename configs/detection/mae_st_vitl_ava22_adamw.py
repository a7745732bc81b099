# ViT-L, AVA 2.2, AdamW.
_base_ = [
    '_base_/model_vitl.py',
    '_base_/ava22.py',
    '_base_/adamw_30e.py',
    '_base_/runtime.py',
]
