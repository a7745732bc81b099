"""Version of mmmae_st."""

__version__ = '0.1.0'
