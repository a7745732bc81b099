# Decoder of 8 blocks; the default is 4.
_base_ = '../mae_st_vitl_k400.py'

model = dict(decoder=dict(depth=8))
