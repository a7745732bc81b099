# ViT-L, Kinetics-400 on one GPU: 8 accumulated steps of 16 videos are the 128 videos of 8 GPUs,
# at the same learning rate.
_base_ = 'mae_st_vitl_k400.py'

optim_wrapper = dict(accumulative_counts=8)
