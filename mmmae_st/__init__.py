"""Masked Autoencoders As Spatiotemporal Learners on MMEngine."""

from .compat import check_versions
from .hub import install as install_hub
from .version import __version__

check_versions()
install_hub()

__all__ = ['__version__']
