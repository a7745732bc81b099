"""Optimiser wrappers, their constructors, and sharded training."""
