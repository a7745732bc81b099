# ViT-H with weights, gradients and optimiser state spread over the processes: for models, or clips,
# that one GPU does not hold. Needs several processes (tools/dist_train.sh). The same losses as
# mae_st_vith_k400.py; its checkpoints are those of an unsharded run.
_base_ = './mae_st_vith_k400.py'

runner_type = 'FlexibleRunner'
strategy = dict(type='mmmae_st.ShardedStrategy')
optim_wrapper = dict(
    type='ShardedOptimWrapper',
    # No flat_decay_mult: the part of a matrix that a process holds is flat, too.
    paramwise_cfg=dict(_delete_=True, norm_decay_mult=0.0, bias_decay_mult=0.0),
)
# ReconstructionHook's forward pass is that of one process.
default_hooks = dict(reconstruction=None)
