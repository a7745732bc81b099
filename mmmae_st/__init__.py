"""Masked Autoencoders As Spatiotemporal Learners on MMEngine."""

from .compat import check_versions
from .version import __version__

check_versions()

__all__ = ['__version__']
