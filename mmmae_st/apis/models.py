"""Models by name, config or checkpoint."""

from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from textwrap import shorten
from typing import Any
from urllib.parse import urlparse

import torch
import yaml
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import MODELS as MMENGINE_MODELS
from torch import nn

from mmmae_st.apis.load import load_autoencoder, load_encoder, model_config
from mmmae_st.config import read_config
from mmmae_st.config.packaged import config_names
from mmmae_st.fileio.hub_files import WEIGHTS
from mmmae_st.models import SpacetimeViT, SpatiotemporalMAE
from mmmae_st.models.weights import load_pretrained, read_checkpoint

FILES = Path(__file__).parents[1] / '.mim'  # links in a checkout, files in a wheel
FOLDERS = ('', 'ablation', 'detection', 'finetune')  # of configs with a model
SCHEMES = ('http', 'https', 'hf')
CHECKPOINTS = ('.pth', '.pt', '.pyth', '.bin', '.safetensors', '.ckpt')


def list_models(pattern: str = '*', pretrained: bool = False) -> list[str]:
    """Names that ``get_model`` takes, sorted.

    They are the configs of the package (``'mae_st_vitl_k400'``, ``'finetune/vitl_k400'``; those of
    ``finetune`` need mmaction2, those of ``detection`` mmdet besides) and the weights that the
    authors have published (``'mae_st_vitl_k400_official'``).

    Args:
        pattern: Shell pattern that the names fit, ``'*vitl*'``.
        pretrained: Only those with published weights.
    """
    names = set(_published()) | (set() if pretrained else _with_model())
    return sorted(name for name in names if fnmatchcase(name, pattern))


def get_model(
    model: str | Path | Config,
    pretrained: bool | str | Path = False,
    device: str | torch.device = 'cpu',
) -> nn.Module:
    """A model in eval mode.

    Args:
        model: A name of ``list_models``, a config file or ``Config``, or a checkpoint (file or
            http(s) or ``hf://`` address, or folder of ``save_pretrained``), which comes with its
            weights: the whole masked autoencoder where the file has a decoder, else the encoder.
        pretrained: For names and configs: True for the published weights of that name, or a
            checkpoint. By default the weights are as drawn at random.
        device: Where to put it.

    Returns:
        ``SpatiotemporalMAE``, ``SpacetimeViT``, or what the config names.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If the name is unknown, there are no published weights, the checkpoint does not
            fit, or a package is missing that the config needs.
    """
    if isinstance(model, (str, Path)) and _is_checkpoint(str(model)):
        if pretrained:
            raise ValueError(f'pretrained must be left out for a checkpoint, got {pretrained!r}')
        return _of_checkpoint(model).to(device)
    if pretrained is True:
        name = str(model) if isinstance(model, (str, Path)) else 'a Config'
        if name not in _published():
            raise ValueError(
                f'pretrained=True needs one of {list_models(pretrained=True)}, got {name!r}; or '
                'give a checkpoint as pretrained'
            )
        return _of_checkpoint(_published()[name]['Weights']).to(device)
    config = model if isinstance(model, Config) else config_of(model)
    built = build_model(config)
    if pretrained:
        load_weights(built, pretrained)
    return built.to(device).eval()


def config_of(model: str | Path) -> Config:
    """The config of a name of ``list_models``, or a config file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the name is unknown, or a package is missing that the config needs.
    """
    name = str(model)
    if name.endswith('.py'):
        return read_config(name)
    if name not in list_models():
        close = get_close_matches(name, list_models(), n=3, cutoff=0.4)
        raise ValueError(
            f'model must be a name of list_models(), a config (.py) or a checkpoint '
            f'({", ".join(CHECKPOINTS)}, or a folder of save_pretrained), got {name!r}'
            + (f'; close to it are {", ".join(close)}' if close else '')
        )
    return read_config(_published()[name]['Config'] if name in _published() else name)


def build_model(config: Config) -> BaseModel:
    """The model of a config, whichever package it comes from; ``model.cfg`` is the config."""
    if 'model' not in config:
        raise ValueError(f'the config needs a model, it has {sorted(config)}')
    scope = config.get('default_scope') or 'mmmae_st'
    built = MMENGINE_MODELS.build(dict(config.model, _scope_=scope))
    built.cfg = config
    return built


def load_weights(model: nn.Module, checkpoint: str | Path) -> None:
    """Load a checkpoint into any model: ours from any known source, others from their own file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it does not fit.
    """
    if isinstance(model, (SpatiotemporalMAE, SpacetimeViT)):
        load_pretrained(model, checkpoint)
        return
    try:
        model.load_state_dict(read_checkpoint(checkpoint).state)
    except RuntimeError as error:
        raise ValueError(
            f'{checkpoint} is no checkpoint of the recogniser of this config; a pretraining '
            f'checkpoint has to be fine-tuned first (tools/train.py). {shorten(str(error), 300)}'
        ) from error


def _is_checkpoint(name: str) -> bool:
    is_folder = Path(name, WEIGHTS).is_file()
    return is_folder or name.endswith(CHECKPOINTS) or urlparse(name).scheme in SCHEMES


def _of_checkpoint(checkpoint: str | Path) -> nn.Module:
    if {'decoder', 'head'} <= set(model_config(checkpoint)):
        return load_autoencoder(checkpoint)
    return load_encoder(checkpoint)[0]


def _with_model() -> set[str]:
    """Short names of the package's configs that have a model."""
    return {name for name in config_names() if name.rpartition('/')[0] in FOLDERS}


@cache
def _published() -> dict[str, dict[str, Any]]:
    """Entries of the model index that have weights, by name."""
    index = yaml.safe_load((FILES / 'model-index.yml').read_text())
    entries = [
        entry
        for file in index['Import']
        for entry in yaml.safe_load((FILES / file).read_text())['Models']
    ]
    return {entry['Name']: entry for entry in entries if entry.get('Weights')}
