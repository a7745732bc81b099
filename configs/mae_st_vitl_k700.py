# ViT-L on Kinetics-700, otherwise as on Kinetics-400.
_base_ = 'mae_st_vitl_k400.py'

train_dataloader = dict(dataset=dict(data_root='data/kinetics700'))
