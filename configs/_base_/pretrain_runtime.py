# What pretraining has besides: counts of unreadable videos, and pictures.
_base_ = 'default_runtime.py'

default_hooks = dict(
    broken_videos=dict(type='BrokenVideosHook'),
    reconstruction=dict(type='ReconstructionHook', interval=1000),
)
