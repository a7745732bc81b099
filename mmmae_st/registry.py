"""Registries of mmmae_st: children of mmengine's, found by name under the scope ``mmmae_st``.

``locations`` lets mmengine import a component's module the first time a config names it, so a
config needs no ``custom_imports`` for what lives in this package. From another scope (an
mmaction2 config) write the scope before the name: ``type='mmmae_st.SpacetimeViT'``.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import FUNCTIONS as MMENGINE_FUNCTIONS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import STRATEGIES as MMENGINE_STRATEGIES
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import DefaultScope, Registry, root

MODELS = Registry('model', parent=MMENGINE_MODELS, scope='mmmae_st', locations=['mmmae_st.models'])
DATASETS = Registry(
    'dataset', parent=MMENGINE_DATASETS, scope='mmmae_st', locations=['mmmae_st.datasets']
)
DATA_SAMPLERS = Registry(
    'data sampler',
    parent=MMENGINE_DATA_SAMPLERS,
    scope='mmmae_st',
    locations=['mmmae_st.datasets'],
)
TRANSFORMS = Registry(
    'transform',
    parent=MMENGINE_TRANSFORMS,
    scope='mmmae_st',
    locations=['mmmae_st.datasets.transforms'],
)
FUNCTIONS = Registry(
    'function',
    parent=MMENGINE_FUNCTIONS,
    scope='mmmae_st',
    locations=['mmmae_st.datasets', 'mmmae_st.engine'],
)
METRICS = Registry(
    'metric', parent=MMENGINE_METRICS, scope='mmmae_st', locations=['mmmae_st.evaluation']
)
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, scope='mmmae_st', locations=['mmmae_st.engine'])
OPTIM_WRAPPERS = Registry(
    'optimizer wrapper',
    parent=MMENGINE_OPTIM_WRAPPERS,
    scope='mmmae_st',
    locations=['mmmae_st.engine'],
)
STRATEGIES = Registry(
    'strategy',
    parent=MMENGINE_STRATEGIES,
    scope='mmmae_st',
    locations=['mmmae_st.engine'],
)
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optimizer wrapper constructor',
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    scope='mmmae_st',
    locations=['mmmae_st.engine'],
)

# Nothing of ours is in the others; without them mmengine warns in every run that it takes its own.
for parent in [value for value in vars(root).values() if isinstance(value, Registry)]:
    if 'mmmae_st' not in parent.children:
        Registry(parent.name, parent=parent, scope='mmmae_st', locations=['mmmae_st.engine'])


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
    registry: Registry, part: Mapping[str, Any] | None, base: type, scope: str | None = None
) -> bool:
    """Whether a component's dict names ``base`` or a class derived from it."""
    found = component_class(registry, part, scope)
    return isinstance(found, type) and issubclass(found, base)
