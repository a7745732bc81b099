"""Registries of mmmae_st: children of mmengine's, found by name under the scope ``mmmae_st``.

``locations`` lets mmengine import a component's module the first time a config names it, so a
config needs no ``custom_imports`` for what lives in this package. From another scope (an
mmaction2 config) write the scope before the name: ``type='mmmae_st.SpacetimeViT'``.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mmengine.registry import DefaultScope, Registry, root


def _child(name: str, *packages: str) -> Registry:
    """The registry of mmengine by this name, for components of these packages of ours."""
    parent: Registry = getattr(root, name)
    locations = [f'mmmae_st.{package}' for package in packages]
    return Registry(parent.name, parent=parent, scope='mmmae_st', locations=locations)


MODELS = _child('MODELS', 'models')
DATASETS = _child('DATASETS', 'datasets')
DATA_SAMPLERS = _child('DATA_SAMPLERS', 'datasets')
TRANSFORMS = _child('TRANSFORMS', 'datasets.transforms')
FUNCTIONS = _child('FUNCTIONS', 'datasets', 'engine')
METRICS = _child('METRICS', 'evaluation')
HOOKS = _child('HOOKS', 'engine')
OPTIM_WRAPPERS = _child('OPTIM_WRAPPERS', 'engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child('OPTIM_WRAPPER_CONSTRUCTORS', 'engine')
STRATEGIES = _child('STRATEGIES', 'engine')
PARAM_SCHEDULERS = _child('PARAM_SCHEDULERS', 'engine')
VISUALIZERS = _child('VISUALIZERS', 'engine')

# Nothing of ours is in the others; without them mmengine warns in every run that it takes its own.
for _name, _parent in list(vars(root).items()):
    if isinstance(_parent, Registry) and 'mmmae_st' not in _parent.children:
        _child(_name, 'engine')


def component_class(
    registry: Registry, part: Mapping[str, Any] | None, scope: str | None = None
) -> Any:
    """The class or function under ``type`` of a component's dict.

    Args:
        registry: mmengine's own registry of that kind; it knows those of the scopes.
        part: A dict such as ``dict(type='VideoDataset', _scope_='mmmae_st', ...)``. As everywhere
            in mmengine, ``type`` may also be the class.
        scope: Scope of a name without one; by default the one that is in force.

    Returns:
        None when nothing is called so, or no type is given.
    """
    kind = (part or {}).get('type')
    if not isinstance(kind, str):
        return kind
    current = DefaultScope.get_current_instance()
    scope = (part or {}).get('_scope_') or scope or (current.scope_name if current else 'mmengine')
    with suppress(ImportError):  # of a package that is not installed, or not needed here
        return registry.children.get(scope, registry).get(kind)
    return None


def type_name(part: Mapping[str, Any] | None) -> str:
    """Name of the class under ``type`` of a component's dict, without a scope; '' without one."""
    kind = (part or {}).get('type', '')
    return kind.rpartition('.')[2] if isinstance(kind, str) else kind.__name__


def is_component(
    registry: Registry,
    part: Mapping[str, Any] | None,
    base: type | tuple[type, ...],
    scope: str | None = None,
) -> bool:
    """Whether a component's dict names ``base``, one of several, or a class derived from it."""
    found = component_class(registry, part, scope)
    return isinstance(found, type) and issubclass(found, base)
