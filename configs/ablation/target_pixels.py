# Raw pixels as the target (paper: 83.8 against 84.4).
_base_ = '../mae_st_vitl_k400.py'

model = dict(head=dict(target='pixels'))
