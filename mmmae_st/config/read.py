"""Config files, with what is wrong with them in one line."""

import os
from pathlib import Path

from mmengine.config import Config


def read_config(path: str | Path, import_modules: bool = True) -> Config:
    """Read a config file.

    Args:
        path: Config file.
        import_modules: Import what ``custom_imports`` names; without, the config can be looked at
            where the packages that it needs are not installed.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the config needs a package that is not installed; says how to install it.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'config {path} does not exist')
    try:
        return Config.fromfile(path, import_custom_modules=import_modules)
    except RuntimeError as error:  # of mmmae_st.compat.mmaction and mmmae_st.compat.mmdet
        raise ValueError(f'{path}: {error}') from error
