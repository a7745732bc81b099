# Predict both frames of a tubelet instead of one.
_base_ = '../mae_st_vitl_k400.py'

model = dict(head=dict(frames='all'))
