# ViT-L on one GPU: 8 accumulated steps of 2 videos are the 16 videos of 8 GPUs, at the same
# learning rate.
_base_ = 'vitl_k400.py'

optim_wrapper = dict(accumulative_counts=8)
