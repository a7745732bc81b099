# AdamW as in VideoMAE's AVA scripts, B and L: learning rate 2.5e-4 for 256 clips per update:
# 2.5e-4 * 128 / 256 = 1.25e-4 for 128 = 8 x 16, layer decay 0.75.
_base_ = 'schedule_30e.py'

optim_wrapper = dict(
    type='mmmae_st.BFloat16OptimWrapper',
    optimizer=dict(type='AdamW', lr=1.25e-4, betas=(0.9, 0.999), weight_decay=0.05, fused=True),
    constructor='mmmae_st.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.75),
)
auto_scale_lr = dict(base_batch_size=128)
