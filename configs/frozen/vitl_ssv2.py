# Something-Something v2: one frame from each of 16 equal segments.
_base_ = 'vitl_k400.py'

pipeline = _base_.pipeline
pipeline[0] = dict(type='LoadClips', clip_len=16, sampling='segment_center')
data = dict(data_root='data/sthv2', data_prefix=dict(video='videos'), pipeline=pipeline)
train_dataloader = dict(dataset=data)
test_dataloader = dict(dataset=data)
