"""Hooks, optimiser wrappers and launching; importing this package registers them."""

from mmmae_st.engine.hooks.broken_videos import BrokenVideosHook
from mmmae_st.engine.hooks.checkpoint import SafeCheckpointHook
from mmmae_st.engine.hooks.explosion import ExplosionHook
from mmmae_st.engine.hooks.feature_monitor import FeatureMonitorHook
from mmmae_st.engine.hooks.late_info import LateInfoHook
from mmmae_st.engine.hooks.mask_annealing import MaskAnnealingHook
from mmmae_st.engine.hooks.pace import PaceHook
from mmmae_st.engine.hooks.preemption import PreemptionHook, preemptible
from mmmae_st.engine.hooks.reconstruction import ReconstructionHook
from mmmae_st.engine.hooks.step_seed import StepSeedHook
from mmmae_st.engine.hooks.throughput import ThroughputHook
from mmmae_st.engine.optimizers.bfloat16 import BFloat16OptimWrapper
from mmmae_st.engine.optimizers.layer_decay import LayerDecayOptimWrapperConstructor
from mmmae_st.engine.optimizers.sharding import ShardedOptimWrapper, ShardedStrategy, wrap_blocks
from mmmae_st.engine.optimizers.warmup import WarmupLR
from mmmae_st.engine.runner.launch import prepare_runtime
from mmmae_st.engine.visualizer import SafeVisualizer

__all__ = [
    'BFloat16OptimWrapper',
    'BrokenVideosHook',
    'ExplosionHook',
    'FeatureMonitorHook',
    'LateInfoHook',
    'LayerDecayOptimWrapperConstructor',
    'MaskAnnealingHook',
    'PaceHook',
    'PreemptionHook',
    'ReconstructionHook',
    'SafeCheckpointHook',
    'SafeVisualizer',
    'ShardedOptimWrapper',
    'ShardedStrategy',
    'StepSeedHook',
    'ThroughputHook',
    'WarmupLR',
    'preemptible',
    'prepare_runtime',
    'wrap_blocks',
]
