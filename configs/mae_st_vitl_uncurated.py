# ViT-L on whatever videos lie below one folder: no list, no labels, 8 GPUs.
_base_ = 'mae_st_vitl_k400.py'

train_dataloader = dict(
    dataset=dict(data_root='data/uncurated', ann_file='', data_prefix=dict(video=''))
)
