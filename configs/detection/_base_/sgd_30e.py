# The recipe of the paper (ViT-L): SGD, learning rate 7.2 for 128 clips per update = 8 x 16.
#
# The loss is the mean over 80 actions and the lowest layer learns at 7.2 * 0.75^25 = 5.4e-3. No
# recipe is published for B and H: they keep 7.2 and take the layer decay of their Kinetics
# recipe, as L does. Momentum and weight decay are those of PySlowFast's AVA files.
_base_ = 'schedule_30e.py'

optim_wrapper = dict(
    type='mmmae_st.BFloat16OptimWrapper',
    optimizer=dict(type='SGD', lr=7.2, momentum=0.9, nesterov=True, weight_decay=1e-7),
    constructor='mmmae_st.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.75),
)
auto_scale_lr = dict(base_batch_size=128)
