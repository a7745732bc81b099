"""The configs that come with the package, by short names, from any folder."""

import os
from difflib import get_close_matches
from pathlib import Path

from mmmae_st.compat.hub import FOLDER, PACKAGE

CONFIGS = Path(FOLDER, '.mim', 'configs')
SUFFIXES = ('.py', '.json', '.yaml', '.yml')


def config_names() -> list[str]:
    """Short names, sorted: ``'mae_st_vitb_k400'``, ``'finetune/vitl_k400'`` and so on."""
    paths = (path.relative_to(CONFIGS).with_suffix('') for path in CONFIGS.rglob('*.py'))
    return sorted(path.as_posix() for path in paths if '_base_' not in path.parts)


def find_config(name: str) -> str:
    """The file of a config.

    Args:
        name: A file, or what :func:`config_names` lists, also with ``.py`` and with ``configs/`` or
            ``mmmae_st::`` before it.

    Raises:
        FileNotFoundError: If it is neither; names what is near.
        ValueError: If it is a folder, or a file of another kind.
    """
    if os.path.isfile(name) and name.endswith(SUFFIXES):
        return name
    short = name.removeprefix(f'{PACKAGE}::').removeprefix('configs/').removesuffix('.py')
    names = config_names()
    if short in names:
        return str(CONFIGS / f'{short}.py')
    if os.path.exists(name):
        kind = 'a folder' if os.path.isdir(name) else 'another file'
        raise ValueError(
            f'a config must be a file with one of {", ".join(SUFFIXES)}; {name} is {kind}'
        )
    near = [known for known in names if known.endswith(f'/{os.path.basename(short)}')]
    near = near or get_close_matches(short, names)
    hint = (
        f'nor one of the package; near it are: {", ".join(near)}'
        if near
        else ('nor one of the package (mmmae_st info lists those)')
    )
    raise FileNotFoundError(f'config {name} does not exist, {hint}')
