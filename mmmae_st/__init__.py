"""Masked Autoencoders As Spatiotemporal Learners on MMEngine.

What people call is found here and imported when it is first used: ``import mmmae_st`` itself
loads neither models nor datasets.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mmmae_st.compat.hub import install as install_hub
from mmmae_st.compat.python import install as restore_dropped_functions
from mmmae_st.compat.versions import check_versions
from mmmae_st.version import __version__

check_versions()  # before anything heavy is imported
restore_dropped_functions()
install_hub()

if TYPE_CHECKING:
    from mmmae_st.apis.action_inferencer import ActionInferencer
    from mmmae_st.apis.feature_inferencer import FeatureInferencer
    from mmmae_st.apis.hub import from_pretrained, push_to_hub, save_pretrained
    from mmmae_st.apis.load import load_autoencoder, load_encoder
    from mmmae_st.apis.long_feature_inferencer import LongFeatureInferencer
    from mmmae_st.apis.models import get_model, list_models
    from mmmae_st.apis.reconstruction_inferencer import ReconstructionInferencer

_HOMES = {
    'ActionInferencer': 'action_inferencer',
    'FeatureInferencer': 'feature_inferencer',
    'LongFeatureInferencer': 'long_feature_inferencer',
    'ReconstructionInferencer': 'reconstruction_inferencer',
    'from_pretrained': 'hub',
    'get_model': 'models',
    'list_models': 'models',
    'load_autoencoder': 'load',
    'load_encoder': 'load',
    'push_to_hub': 'hub',
    'save_pretrained': 'hub',
}

__all__ = [
    'ActionInferencer',
    'FeatureInferencer',
    'LongFeatureInferencer',
    'ReconstructionInferencer',
    '__version__',
    'from_pretrained',
    'get_model',
    'list_models',
    'load_autoencoder',
    'load_encoder',
    'push_to_hub',
    'save_pretrained',
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'mmmae_st.apis.{_HOMES[name]}'), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
