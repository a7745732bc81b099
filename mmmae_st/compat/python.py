"""What Python 3.14 has dropped and mmengine 0.10 and mmcv 2.1 still call."""

import pkgutil
from importlib.util import find_spec


def install() -> None:
    """Bring ``pkgutil.find_loader`` back. Called once, when ``mmmae_st`` is imported.

    Both packages ask it only whether ``mmcv._ext`` is there.
    """
    vars(pkgutil).setdefault('find_loader', find_spec)
