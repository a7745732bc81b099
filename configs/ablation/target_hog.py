# Histograms of oriented gradients, those of PySlowFast, as the target (paper: close to normalised
# pixels).
_base_ = '../mae_st_vitl_k400.py'

model = dict(head=dict(target='hog'))
