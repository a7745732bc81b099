"""Config files, with what is wrong with them in one line."""

from pathlib import Path

from mmengine.config import Config

from mmmae_st.config.packaged import find_config


def read_config(path: str | Path, import_modules: bool = True) -> Config:
    """Read a config file.

    Args:
        path: Config file, or the short name of one that comes with the package.
        import_modules: Import what ``custom_imports`` names; without, the config can be looked at
            where the packages that it needs are not installed.

    Raises:
        FileNotFoundError: If there is no such config; names what is near.
        ValueError: If it cannot be read, or needs a package that is not installed; says how to
            install it.
    """
    file = find_config(str(path))
    try:
        return Config.fromfile(file, import_custom_modules=import_modules)
    except RuntimeError as error:  # of mmmae_st.compat.mmaction and mmmae_st.compat.mmdet
        raise ValueError(f'{path}: {error}') from error
    except SyntaxError as error:
        line = f' (line {error.lineno})' if error.lineno else ''
        raise ValueError(f'config {path} cannot be read: {error.msg}{line}') from error
    except (NameError, TypeError, ValueError, KeyError, AttributeError) as error:
        text = ' '.join(f'{type(error).__name__}: {error}'.split())
        raise ValueError(f'config {path} cannot be read: {text}') from error
