# ViT-B on one GPU and a folder of unlabelled clips:
#   python tools/train.py configs/mae_st_vitb_folder_1gpu.py \
#       --cfg-options train_dataloader.dataset.data_root=/path/to/clips
# 4 accumulated steps of 32 videos: 128 videos per update, the learning rate of 8 GPUs.
_base_ = 'mae_st_vitb_k400.py'

train_dataloader = dict(
    batch_size=32,
    dataset=dict(data_root='data/my_videos', ann_file='', data_prefix=dict(video='')),
)
optim_wrapper = dict(accumulative_counts=4)
# Is it learning? Told without labels, see docs/monitor.md. Of videos that are held out:
# default_hooks.monitor.dataset=dict(data_root='/path/to/others')
default_hooks = dict(monitor=dict(type='FeatureMonitorHook'))
