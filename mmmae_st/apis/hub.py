"""Models as folders: saved, loaded, and handed out on the Hugging Face Hub.

A folder holds ``config.json`` (the arguments of the model), ``model.safetensors`` (its weights) and
``README.md`` (a model card).
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from mmmae_st.apis.load import load_autoencoder, load_encoder, model_config
from mmmae_st.apis.model_card import Run, model_card, read_training
from mmmae_st.apis.models import get_model
from mmmae_st.apis.publish import describe_arguments
from mmmae_st.fileio.atomic_file import write_whole
from mmmae_st.fileio.hub_files import SCHEME, WEIGHTS, hub_file, huggingface_hub
from mmmae_st.fileio.safe_loading import existing_file
from mmmae_st.models import SpacetimeViT, SpatiotemporalMAE
from mmmae_st.models.weights import write_checkpoint
from mmmae_st.version import __version__

CONFIG, CARD = 'config.json', 'README.md'
LIBRARY = 'mmmae_st'


def from_pretrained(
    name: str | Path, revision: str | None = None, device: str | torch.device = 'cpu'
) -> nn.Module:
    """A model out of a folder of ``save_pretrained`` or of the Hub, in eval mode.

    Args:
        name: A folder, or ``'user/name'`` on the Hub. Repositories of other codes whose weights
            are known (VideoMAE, image MAE) are taken, too.
        revision: Branch, tag or commit on the Hub.
        device: Where to put it.

    Returns:
        ``SpatiotemporalMAE``, or ``SpacetimeViT`` where there is no decoder; ``model.cfg`` is its
        config. ``load_encoder`` takes the file in the folder, or ``hf://user/name/file``, and gives
        the preprocessor besides.

    Raises:
        FileNotFoundError: If the folder holds no weights.
        OSError: If nothing can be fetched from the Hub.
        ValueError: If the name is neither, or the weights cannot be used.
    """
    if os.path.isdir(name):
        weights, config = existing_file(Path(name, WEIGHTS)), Path(name, CONFIG)
        described = _model_of(config) if config.exists() else None
    elif re.fullmatch(r'[\w.-]+/[\w.-]+', str(name)):
        begin = f'{SCHEME}{name}@{revision}/' if revision else f'{SCHEME}{name}/'
        described = _model_of(hub_file(begin + CONFIG))
        weights = hub_file(begin + WEIGHTS)
    else:
        raise ValueError(f"name must be a folder or 'user/name' on the Hub, got {str(name)!r}")
    model_cfg = described.model if described else model_config(weights)
    if {'decoder', 'head'} <= set(model_cfg):
        return load_autoencoder(weights, described).to(device)
    return load_encoder(weights, described)[0].to(device)


def save_pretrained(
    model: nn.Module | str | Path,
    folder: str | Path,
    run: str | Path | None = None,
    data: str | None = None,
    license: str | None = None,
    dtype: str | None = None,
) -> Path:
    """Write a folder that ``from_pretrained`` reads.

    Args:
        model: A masked autoencoder or encoder of ``get_model``, ``load_autoencoder`` or
            ``load_encoder``; or a checkpoint, of which the encoder and, if there is one, the
            decoder are taken.
        folder: The folder; files of these names in it are replaced.
        run: Work directory of the training run, whose log gives loss and length for the model
            card; for a checkpoint by default the folder that it is in.
        data: What it was trained on, for the card; by default the name of the data folder in the
            config of the run.
        license: Licence of the weights by its name on the Hub (``'apache-2.0'``); by default none
            is stated, but for weights of mae_st, which are under CC-BY-NC 4.0.
        dtype: ``'float16'`` or ``'bfloat16'`` halves the size; None keeps the weights as they are.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If the model is of another kind or was not made by these functions.
    """
    if dtype not in (None, 'float16', 'bfloat16'):
        raise ValueError(f"dtype must be 'float16', 'bfloat16' or None, got {dtype!r}")
    training = Run()
    if isinstance(model, (str, Path)):
        training = read_training(model, run)
        model = get_model(model)
    elif run is not None:
        training = read_training(None, run)
    if not isinstance(model, (SpatiotemporalMAE, SpacetimeViT)) or not hasattr(model, 'cfg'):
        raise ValueError(
            'model must be a checkpoint, or a SpatiotemporalMAE or SpacetimeViT of get_model or '
            f'load_encoder, got a {type(model).__name__}'
        )
    whole = isinstance(model, SpatiotemporalMAE)
    described = describe_arguments(dict(model.cfg.model), 'all' if whole else 'encoder')
    begin = '' if whole else 'backbone.'
    state = {f'{begin}{name}': tensor for name, tensor in model.state_dict().items()}
    if dtype is not None:
        kind = getattr(torch, dtype)
        state = {k: x.to(kind) if x.is_floating_point() else x for k, x in state.items()}
    folder = Path(folder)
    content = {
        'library_name': LIBRARY,
        f'{LIBRARY}_version': __version__,
        'architectures': [type(model).__name__],
        'model': described,
    }
    write_checkpoint(folder / WEIGHTS, state, meta=dict(source=LIBRARY, config=described))
    write_whole(folder / CONFIG, json.dumps(content, indent=2) + '\n')
    numbers = sum(tensor.numel() for tensor in state.values())
    card = model_card(folder.name, described, numbers, training.told(data, license))
    write_whole(folder / CARD, card)
    return folder


def push_to_hub(
    folder: str | Path,
    repo_id: str,
    private: bool = False,
    revision: str | None = None,
    token: str | None = None,
) -> str:
    """Put a folder of ``save_pretrained`` on the Hub, in one commit; the repository is made.

    Args:
        folder: The folder. Only its three files go up.
        repo_id: ``'user/name'``.
        private: Make the repository private if it is new.
        revision: Branch; the main one by default.
        token: By default the one of ``hf auth login``.

    Returns:
        The address of the commit.

    Raises:
        FileNotFoundError: If the folder lacks one of the files.
        OSError: If the Hub cannot be reached or refuses.
        ValueError: If huggingface_hub is not installed, or ``repo_id`` is malformed.
    """
    folder = Path(folder)
    for name in (CONFIG, WEIGHTS, CARD):
        if not (folder / name).is_file():
            raise FileNotFoundError(f'{folder} lacks {name}: write it with save_pretrained first')
    api = huggingface_hub().HfApi(token=token)
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            revision=revision,
            allow_patterns=[CONFIG, WEIGHTS, CARD],
            commit_message=f'{folder.name} of {LIBRARY} {__version__}',
        )
    except OSError as error:
        cause = ' '.join(str(error).split())
        raise OSError(f'{repo_id} cannot be written on the Hub: {cause}') from error
    return str(commit.commit_url)


def _model_of(config: Path) -> Config | None:
    """The model that a ``config.json`` of ours describes; None for another code's."""
    content: dict[str, Any] = json.loads(config.read_text(encoding='utf-8'))
    if content.get('library_name') != LIBRARY or 'model' not in content:
        return None
    return Config(dict(model=content['model']))
