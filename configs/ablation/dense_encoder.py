# Mask tokens go through the encoder as well: the dense encoder of Table 1.
_base_ = '../mae_st_vitl_k400.py'

model = dict(backbone=dict(with_mask_token=True), decoder=dict(with_mask_token=False))
