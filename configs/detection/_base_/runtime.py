# Detection runs in mmaction2's scope: parts of mmmae_st are named in full there.
_base_ = '../../_base_/default_runtime.py'

default_scope = 'mmaction'
custom_imports = dict(imports=['mmmae_st.compat.mmdet'], allow_failed_imports=False)
default_hooks = dict(checkpoint=dict(save_best='mAP/overall', rule='greater'))
