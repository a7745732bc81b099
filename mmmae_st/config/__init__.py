"""What is wrong in a config, before anything is read."""

from mmmae_st.config.check import check_config
from mmmae_st.config.overrides import override
from mmmae_st.config.read import read_config

__all__ = ['check_config', 'override', 'read_config']
