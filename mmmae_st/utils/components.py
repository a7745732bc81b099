"""Which class a part of a config names."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mmengine.registry import DefaultScope, Registry


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


def is_component(
    registry: Registry, part: Mapping[str, Any] | None, base: type, scope: str | None = None
) -> bool:
    """Whether a component's dict names ``base`` or a class derived from it."""
    found = component_class(registry, part, scope)
    return isinstance(found, type) and issubclass(found, base)
