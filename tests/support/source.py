"""A copy of what the package is built from, so that the checkout stays clean."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]


def copy_source(folder: Path) -> Path:
    """Copy the package, its configs, tools and requirements into a folder that is there."""
    for path in ROOT.iterdir():
        if path.name in ('mmmae_st', 'configs', 'tools', 'requirements'):
            shutil.copytree(path, folder / path.name, symlinks=True)
        elif path.is_file():
            shutil.copy(path, folder)
    return folder
