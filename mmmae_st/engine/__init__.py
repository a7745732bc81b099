"""Hooks, optimiser wrappers and launching; importing this package registers them."""

from .launch import prepare_runtime
from .optim_wrapper import BFloat16OptimWrapper
from .reconstruction import ReconstructionHook
from .throughput import ThroughputHook

__all__ = ['BFloat16OptimWrapper', 'ReconstructionHook', 'ThroughputHook', 'prepare_runtime']
