"""Early check of the packages underneath, from their metadata, before anything heavy is imported.

mmcv and mmengine break in ways that do not name the cause: mmdet and mmaction2 refuse mmcv 2.2 with
an assertion, and mmcv and mmcv-lite installed together overwrite each other's files.

``onedl-mmengine`` and ``onedl-mmcv`` are maintained forks that provide the same modules. mmaction2
asserts mmcv < 2.2; :mod:`mmmae_st.compat.mmaction` gets it imported with the latter.
"""

import platform
import warnings
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import NamedTuple

from packaging.specifiers import SpecifierSet

from mmmae_st.version import __version__

MMCV_RANGE = '>=2.0.0rc4,<2.2.0'
FORK_RANGE = '>=2.3.6,<2.4'
MMCV_NAMES = ('mmcv', 'mmcv-lite', 'onedl-mmcv', 'mmcv-full')


class Rule(NamedTuple):
    """Accepted versions of a package, what needs it, and a fork that provides the same module."""

    package: str
    accepted: str
    reason: str
    required: bool
    fork: str = ''


RULES = (
    Rule('torch', '>=2.4', 'older ones lack parts of the optimiser and attention used here', True),
    Rule(
        'mmengine',
        '>=0.10.4,<1.0',
        'runner, configs and checkpoints are built on it',
        True,
        fork='onedl-mmengine',
    ),
    Rule('setuptools', '<81', "mmengine.hub needs its module 'pkg_resources'", False),
)


def check_versions(installed: Mapping[str, str | None] | None = None) -> None:
    """Stop with one message when an installed package does not fit, and warn of lesser trouble.

    Args:
        installed: Version by package, None for one that is not installed; the environment's own
            by default.

    Raises:
        ImportError: If the core cannot work. The message names each package, the version found,
            the versions accepted and the command that mends it.
    """
    forks = [rule.fork for rule in RULES if rule.fork]
    names = [*MMCV_NAMES, *(rule.package for rule in RULES), *forks]
    found = dict.fromkeys(names) | dict(_installed(names) if installed is None else installed)
    errors = _mmcv_errors({name: found[name] for name in MMCV_NAMES if found[name] is not None})
    for rule in RULES:
        have, fork = found[rule.package], found.get(rule.fork)
        if have and fork:
            errors.append(
                f'{rule.package} {have} and {rule.fork} {fork} are installed together and '
                f'overwrite each other: pip uninstall -y {rule.package} {rule.fork} && '
                f'pip install "{rule.package}{rule.accepted}"'
            )
            continue
        if _fits(fork or have, rule.accepted):
            continue
        name = _named(rule.fork, fork) if fork else _named(rule.package, have)
        message = (
            f'{name}, but mmmae_st needs {rule.package} {rule.accepted} '
            f'({rule.reason}): pip install "{rule.package}{rule.accepted}"'
        )
        if rule.required:
            errors.append(message)
        else:
            warnings.warn(message, stacklevel=2)
    if errors:
        raise ImportError('\n'.join(errors))


def version_of(package: str) -> str | None:
    """Version of an installed package, None for one that is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def versions_of(*packages: str) -> dict[str, str]:
    """Versions of mmmae_st, of Python and of those of the packages that are installed."""
    found = {package: version_of(package) for package in packages}
    return dict(mmmae_st=__version__, python=platform.python_version()) | {
        package: number for package, number in found.items() if number is not None
    }


def _mmcv_errors(found: dict[str, str | None]) -> list[str]:
    """What is wrong with the installed packages that provide the module mmcv."""
    install = f'pip install "mmcv-lite{MMCV_RANGE}"'
    with_ops = 'or mmcv of the same version, compiled with its ops, for detection'
    needs = f'mmmae_st needs one of mmcv and mmcv-lite, {MMCV_RANGE}'
    have = ' and '.join(f'{name} {number}' for name, number in found.items())
    if not found:
        return [f'neither mmcv nor mmcv-lite is installed, but {needs}: {install} ({with_ops})']
    remove = f'pip uninstall -y {" ".join(found)}'
    if len(found) > 1:
        return [
            f'{have} are installed together and overwrite each other, but {needs}: '
            f'{remove} && {install} ({with_ops})'
        ]
    [(name, number)] = found.items()
    accepted = FORK_RANGE if name == 'onedl-mmcv' else MMCV_RANGE
    if name != 'mmcv-full' and _fits(number, accepted):
        return []
    return [
        f'{have} is installed, but {needs} (mmaction2 1.2 and mmdet 3.3 accept no other): '
        f'{remove} && {install} ({with_ops})'
    ]


def _fits(number: str | None, accepted: str) -> bool:
    if number is None:
        return False
    return number == '' or SpecifierSet(accepted).contains(number, prereleases=True)


def _named(package: str, number: str | None) -> str:
    return f'{package} is not installed' if number is None else f'{package} {number} is installed'


def _installed(packages: list[str]) -> dict[str, str | None]:
    """Versions from the metadata; '' (taken as fitting) for a module that has none."""
    found: dict[str, str | None] = {}
    for package in packages:
        found[package] = version_of(package)
        if found[package] is None and package in ('torch', 'mmengine') and find_spec(package):
            found[package] = ''
    return found
