default_scope = 'mmmae_st'

# By name, so that a config can change one (default_hooks = dict(explosion=dict(window=10))) or add
# another. mmengine has the first six, whatever a config says; hooks run in the order of their
# priorities. Named in full, as other configs run in mmaction2's scope.
default_hooks = dict(
    runtime_info=dict(type='mmmae_st.LateInfoHook'),
    timer=dict(type='IterTimerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    logger=dict(type='LoggerHook', interval=20),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='mmmae_st.SafeCheckpointHook', interval=1, max_keep_ckpts=3),
    step_seed=dict(type='mmmae_st.StepSeedHook'),
    throughput=dict(type='mmmae_st.ThroughputHook'),
    pace=dict(type='mmmae_st.PaceHook'),
    explosion=dict(type='mmmae_st.ExplosionHook'),
    preemption=dict(type='mmmae_st.PreemptionHook'),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
randomness = dict(seed=0)
log_level = 'INFO'
log_processor = dict(
    type='LogProcessor',
    window_size=20,
    by_epoch=True,
    # averaged over the window: what is logged at every step, not a loss on held-out clips
    mean_pattern=r'^(?!held_out/).*(loss|time|grad_norm)',
)
visualizer = dict(
    type='mmmae_st.SafeVisualizer',
    vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')],
)
load_from = None
resume = False
