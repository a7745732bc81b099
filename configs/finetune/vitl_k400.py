# ViT-L, Kinetics-400: 50 passes x 2 clips = 100 effective epochs (PySlowFast and the paper).
_base_ = [
    '../_base_/finetune/recognizer.py',
    '../_base_/finetune/k400.py',
    '../_base_/finetune/adamw_50e.py',
    '../_base_/finetune/runtime.py',
]
