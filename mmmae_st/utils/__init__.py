"""Helpers that belong to no other part."""

from .components import component_class, is_component
from .config_check import check_config
from .overrides import override

__all__ = ['check_config', 'component_class', 'is_component', 'override']
