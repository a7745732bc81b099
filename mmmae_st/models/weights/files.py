"""Reading and writing of checkpoint files. Nothing in a file is ever executed."""

import argparse
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from mmmae_st.fileio.atomic_file import written_whole
from mmmae_st.fileio.hub_files import SCHEME, hub_file
from mmmae_st.fileio.safe_loading import CheckpointError, download_once, existing_file, load_plain
from mmmae_st.models.weights.names import VJEPA_KEYS, some

# keys under which training codes keep the parameters
WRAPPERS = ('state_dict', 'model', 'model_state', 'module', *VJEPA_KEYS)
META_KEY = 'mmmae_st'


@dataclass
class Checkpoint:
    """What a file holds.

    Attributes:
        state: Parameters by the names of the file, without a leading ``module.``.
        args: Training arguments: mae_st's pickled ``argparse.Namespace`` or PySlowFast's config in
            YAML, if any.
        meta: What ``write_checkpoint`` noted about the weights, if it wrote the file.
        config_text: The config of the run that wrote the file, as mmengine's Runner puts it there.
        key: Where in the file the parameters were; empty at the top level.
    """

    state: dict[str, Tensor]
    args: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    config_text: str = ''
    key: str = ''


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read the parameters of a PyTorch or safetensors file on the CPU.

    PyTorch files are read with ``weights_only=True``; ``argparse.Namespace`` is the only class
    admitted besides.

    Args:
        path: A file, an http(s) address, which is downloaded once to torch hub's folder, or
            ``hf://user/name/file`` of the Hugging Face Hub.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If it cannot be downloaded.
        ValueError: If it is a folder, empty, damaged, asks for another class or function (which
            is named), or holds no parameters.
    """
    path = _local_file(path)
    if path.suffix == '.safetensors':
        return _read_safetensors(path)
    content = load_plain(path, mmap=True, admitted=[argparse.Namespace])
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f'{path} holds a {type(content).__name__}, not the parameters of a model: save '
            "model.state_dict(), or a dict with it under 'state_dict'"
        )
    key = next((key for key in WRAPPERS if _is_state(content.get(key))), '')
    state = content[key] if key else content
    if not _is_state(state):
        raise CheckpointError(
            f'{path} holds no parameters: they are looked for at the top level and under '
            f'{WRAPPERS}, and its keys are {some(content)}'
        )
    args = content.get('args')
    meta = content.get('meta')
    meta = meta if isinstance(meta, Mapping) else {}
    text = meta.get('cfg')
    return Checkpoint(
        state={_strip_wrapper(k): v for k, v in state.items() if isinstance(v, Tensor)},
        args=dict(vars(args)) if isinstance(args, argparse.Namespace) else _yaml(content),
        meta=meta.get(META_KEY, {}),
        config_text=text if isinstance(text, str) else '',
        key=key,
    )


def write_checkpoint(
    path: str | Path,
    state: dict[str, Tensor],
    wrapper: str | None = 'state_dict',
    meta: dict[str, Any] | None = None,
) -> None:
    """Write parameters whole; the suffix ``.safetensors`` chooses that format.

    Args:
        path: File to write.
        state: Parameters.
        wrapper: Key of the PyTorch file under which they are put; None for the top level.
        meta: Plain notes that ``read_checkpoint`` gives back (not kept without a wrapper).

    Raises:
        OSError: If the file cannot be written.
    """
    path = Path(path)
    state = {name: tensor.detach().contiguous().clone() for name, tensor in state.items()}
    if path.suffix == '.safetensors':
        notes = {'format': 'pt'} | ({META_KEY: json.dumps(meta)} if meta else {})
        with written_whole(path) as temporary:
            temporary.write_bytes(save(state, metadata=notes))
        return
    content: Mapping[str, Any] = state
    if wrapper is not None:
        content = {wrapper: state} | ({'meta': {META_KEY: meta}} if meta else {})
    packed = BytesIO()  # PyTorch's own writer does not say that a disk is full
    torch.save(content, packed)
    with written_whole(path) as temporary:
        temporary.write_bytes(packed.getbuffer())


def _local_file(path: str | Path) -> Path:
    if urlparse(str(path)).scheme in ('http', 'https'):
        return download_once(str(path))
    if str(path).startswith(SCHEME):
        return hub_file(str(path))
    return existing_file(path)


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework='pt') as file:
            notes = file.metadata() or {}
        state = load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f'{path} is not a whole safetensors file: {error}') from error
    return Checkpoint(
        {_strip_wrapper(k): v for k, v in state.items()},
        meta=json.loads(notes.get(META_KEY, '{}')),
    )


def _yaml(content: Mapping) -> dict[str, Any]:
    """The config that PySlowFast puts into its files as text; empty if there is none."""
    found = None
    with suppress(yaml.YAMLError):
        found = yaml.safe_load(content['cfg']) if isinstance(content.get('cfg'), str) else None
    return found if isinstance(found, dict) else {}


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(v, Tensor) for v in value.values())


def _strip_wrapper(name: str) -> str:
    return name.removeprefix('module.')
