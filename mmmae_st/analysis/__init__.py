"""Counting and inspecting models, configs, logs and machines. Nothing here trains."""
