# Decoder of 1 block; the default is 4.
_base_ = '../mae_st_vitl_k400.py'

model = dict(decoder=dict(depth=1))
