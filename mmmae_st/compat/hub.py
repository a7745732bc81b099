"""Lets mmengine find this package's configs: ``get_config('mmmae_st::mae_st_vitl_k400.py')``.

mmengine 0.10 knows a fixed list of packages, wants a folder in the name
(``package::folder/file``), and looks for an editable install in the wrong place. Two of its
functions are therefore wrapped, for names that start with ``mmmae_st::`` and nothing else.

Importing ``mmmae_st`` does it. The wheel also carries a copy of this file with a ``.pth`` line that
calls :func:`install` at start-up, so that ``mmengine.hub.get_config`` alone is enough; this file
therefore imports nothing but the standard library's smallest parts.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import ModuleType

PACKAGE = 'mmmae_st'
HOLDERS = ('mmengine.utils', 'mmengine.config.config', 'mmengine.hub.hub')


def _wrap_split(original: Callable) -> Callable:
    """mmengine's ``_get_package_and_cfg_path``: 'package::config' to (package, config)."""

    def split(cfg_path: str) -> tuple[str, str]:
        package, _, name = cfg_path.partition('::')
        if package == PACKAGE and name and '::' not in name:
            return package, name
        return original(cfg_path)

    return split


def _wrap_path(original: Callable) -> Callable:
    """mmengine's ``get_installed_path``: folder of an installed package."""

    def installed_path(package: str) -> str:
        if package == PACKAGE:
            import importlib.util
            import os

            spec = importlib.util.find_spec(package)
            if spec is not None and spec.origin is not None:
                return os.path.dirname(spec.origin)
        return original(package)

    return installed_path


WRAPPERS = {
    'mmengine.config.utils': ('_get_package_and_cfg_path', _wrap_split),
    'mmengine.utils.package_utils': ('get_installed_path', _wrap_path),
}


def _wrap(module: ModuleType) -> None:
    """Replace the function in its module and wherever it has been imported by name."""
    name, wrapper = WRAPPERS[module.__name__]
    original = getattr(module, name, None)
    if original is None or hasattr(original, 'knows_mmmae_st'):
        return
    wrapped = wrapper(original)
    vars(wrapped)['knows_mmmae_st'] = True
    setattr(module, name, wrapped)
    for holder in HOLDERS:
        if getattr(sys.modules.get(holder), name, None) is original:
            setattr(sys.modules[holder], name, wrapped)


class _Finder:
    """Wraps the functions right after mmengine has defined them."""

    knows_mmmae_st = True

    @classmethod
    def find_spec(
        cls, fullname: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in WRAPPERS:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, 'find_spec', None)
            spec = find(fullname, path, target) if find and finder is not cls else None
            if spec is not None:
                break
        else:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            _wrap(module)

        spec.loader.exec_module = exec_module
        return spec


def install() -> None:
    """Wrap the functions now, or as soon as mmengine is imported. Safe to call twice."""
    loaded = [sys.modules[name] for name in WRAPPERS if name in sys.modules]
    for module in loaded:
        _wrap(module)
    known = any(getattr(finder, 'knows_mmmae_st', False) for finder in sys.meta_path)
    if len(loaded) < len(WRAPPERS) and not known:
        sys.meta_path.insert(0, _Finder)
