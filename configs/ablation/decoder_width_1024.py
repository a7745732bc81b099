# Decoder 1024 wide; the default is 512.
_base_ = '../mae_st_vitl_k400.py'

model = dict(decoder=dict(embed_dims=1024, num_heads=16))
