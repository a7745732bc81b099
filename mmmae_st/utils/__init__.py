"""What mmengine asks of every package by this name."""

from importlib import import_module


def register_all_modules() -> None:
    """Import all components, as ``mmengine.hub.get_model('mmmae_st::...')`` asks for."""
    for part in ('datasets', 'engine', 'evaluation', 'models'):
        import_module(f'mmmae_st.{part}')
