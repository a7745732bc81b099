"""Masked Autoencoders As Spatiotemporal Learners on MMEngine."""

from mmmae_st.compat.hub import install as install_hub
from mmmae_st.compat.versions import check_versions
from mmmae_st.version import __version__

check_versions()  # before anything heavy is imported
install_hub()

__all__ = ['__version__']
