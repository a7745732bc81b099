# Decoder 128 wide; the default is 512.
_base_ = '../mae_st_vitl_k400.py'

model = dict(decoder=dict(embed_dims=128, num_heads=4))
