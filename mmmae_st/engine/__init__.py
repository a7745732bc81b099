"""Hooks, optimiser wrappers and launching; importing this package registers them."""

from .broken_videos import BrokenVideosHook
from .checkpointing import SafeCheckpointHook
from .explosion import ExplosionHook
from .launch import prepare_runtime
from .layer_decay import LayerDecayOptimWrapperConstructor
from .mask_annealing import MaskAnnealingHook
from .optim_wrapper import BFloat16OptimWrapper
from .preemption import PreemptionHook
from .reconstruction import ReconstructionHook
from .sharding import ShardedOptimWrapper, ShardedStrategy, wrap_blocks
from .step_seed import StepSeedHook
from .throughput import ThroughputHook

__all__ = [
    'BFloat16OptimWrapper',
    'BrokenVideosHook',
    'ExplosionHook',
    'LayerDecayOptimWrapperConstructor',
    'MaskAnnealingHook',
    'PreemptionHook',
    'ReconstructionHook',
    'SafeCheckpointHook',
    'ShardedOptimWrapper',
    'ShardedStrategy',
    'StepSeedHook',
    'ThroughputHook',
    'prepare_runtime',
    'wrap_blocks',
]
