# Fine-tuning runs in mmaction2's scope: parts of mmmae_st are named in full there.
_base_ = '../default_runtime.py'

default_scope = 'mmaction'
custom_imports = dict(
    # mmaction.datasets registers repeat_pseudo_collate.
    imports=['mmmae_st.compat.mmaction', 'mmaction.datasets'],
    allow_failed_imports=False,
)
default_hooks = dict(
    checkpoint=dict(save_best='acc/top1', rule='greater'),
    broken_videos=dict(type='mmmae_st.BrokenVideosHook'),
)
