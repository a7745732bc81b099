# HMDB51, first split. The set is small: all tokens are kept, and three clips of each video.
_base_ = 'vitb_k400.py'

pipeline = _base_.pipeline
pipeline[0].num_clips = 3
data = dict(data_root='data/hmdb51', data_prefix=dict(video='videos'), pipeline=pipeline)
train_dataloader = dict(dataset=dict(ann_file='train_split1.txt', **data))
test_dataloader = dict(dataset=dict(ann_file='test_split1.txt', **data))
linear = dict(batch_size=256, epochs=100)
attentive = dict(token_grid=None, batch_size=64)
