"""Lets mmengine find this package's configs: ``get_config('mmmae_st::mae_st_vitl_k400.py')``.

mmengine 0.10 knows a fixed list of packages, wants a folder in the name
(``package::folder/file``), and looks for an editable install in the wrong place. Two of its
functions are therefore wrapped, for names that start with ``mmmae_st::`` and nothing else.
``import mmmae_st`` does it; a program of another package needs that line.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

PACKAGE = 'mmmae_st'
FOLDER = str(Path(__file__).parents[1])
# Where mmengine has imported the functions by name; what is imported later takes the wrapped ones.
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
        return FOLDER if package == PACKAGE else original(package)

    return installed_path


def install() -> None:
    """Wrap the two functions. Called once, when ``mmmae_st`` is imported."""
    for module_name, name, wrap in (
        ('mmengine.config.utils', '_get_package_and_cfg_path', _wrap_split),
        ('mmengine.utils.package_utils', 'get_installed_path', _wrap_path),
    ):
        module = import_module(module_name)
        original = getattr(module, name)
        wrapped = wrap(original)
        setattr(module, name, wrapped)
        for holder in HOLDERS:
            if getattr(sys.modules.get(holder), name, None) is original:
                setattr(sys.modules[holder], name, wrapped)
