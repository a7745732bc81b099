"""Checkpoints to hand out: weights and what they belong to, nothing else.

A training checkpoint also holds the optimiser (twice the size of the weights), the log, and the
config with paths of the machine. Here the parameters are kept, with the arguments of the model,
so that the file describes itself.
"""

import hashlib
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmmae_st.apis.load import model_config
from mmmae_st.models import MAEDecoder, MAEHead, SpacetimeViT
from mmmae_st.models.mae import complete_decoder, complete_head
from mmmae_st.models.weights import read_checkpoint, write_checkpoint

PARTS = ('all', 'encoder')
SUFFIXES = ('.pth', '.safetensors')
KINDS = dict(backbone=SpacetimeViT, decoder=MAEDecoder, head=MAEHead)
NOT_OF_THE_WEIGHTS = ('init_cfg', 'drop_path_rate', 'with_cp')


@dataclass(frozen=True)
class Published:
    """One file that was written.

    Attributes:
        path: The file; its name ends in the first 8 digits of the hash.
        sha256: Hash of the whole file.
        size: Bytes.
        tensors: Number of tensors.
        values: Number of values in them.
    """

    path: Path
    sha256: str
    size: int
    tensors: int
    values: int


def publish(
    source: str | Path, target: str | Path, part: str = 'all', dtype: str | None = None
) -> list[Published]:
    """Write the weights of a checkpoint as a PyTorch and as a safetensors file.

    Each file is read back and compared before it gets its name.

    Args:
        source: Checkpoint of this project.
        target: Folder and beginning of the names; a suffix is left off.
        part: ``'all'`` or ``'encoder'``, which leaves out decoder and heads.
        dtype: ``'float16'`` or ``'bfloat16'`` halves the size; None keeps the weights as they are.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If it cannot be read, holds no encoder, or an argument is unknown.
    """
    if part not in PARTS:
        raise ValueError(f'part must be one of {PARTS}, got {part!r}')
    if dtype not in (None, 'float16', 'bfloat16'):
        raise ValueError(f"dtype must be 'float16', 'bfloat16' or None, got {dtype!r}")
    state = read_checkpoint(source).state
    if part == 'encoder':
        state = {name: x for name, x in state.items() if name.startswith('backbone.')}
    if not any(name.startswith('backbone.') for name in state):
        raise ValueError(
            f'{source} holds no backbone: convert weights of other codes first '
            '(tools/model_converters/convert.py)'
        )
    if dtype is not None:
        kind = getattr(torch, dtype)
        state = {k: x.to(kind) if x.is_floating_point() else x for k, x in state.items()}
    target = Path(target)
    stem = target.with_suffix('') if target.suffix in SUFFIXES else target
    meta = dict(source='mmmae_st', config=describe_model(source, part))
    return [_write(stem, suffix, state, meta) for suffix in SUFFIXES]


def describe_model(checkpoint: str | Path, part: str = 'all') -> dict[str, dict[str, Any]]:
    """Every argument of the model's parts that a checkpoint was made with.

    Defaults are written out, so that the file still fits should they change. Left out is what is
    not of the weights: initialisation, drop path, recomputation.
    """
    return describe_arguments(model_config(checkpoint), part)


def describe_arguments(model: dict[str, Any], part: str = 'all') -> dict[str, dict[str, Any]]:
    """The same of the arguments that a config has, by part."""
    model = dict(model)
    if part == 'all' and 'decoder' in model and 'head' in model:
        with torch.device('meta'):
            encoder = SpacetimeViT(**_arguments(SpacetimeViT, model['backbone']))
        model['decoder'] = complete_decoder(model['decoder'], encoder)
        width = _arguments(MAEDecoder, model['decoder'])['embed_dims']
        model['head'] = complete_head(model['head'], encoder, width)
    described = {
        key: _arguments(kind, model[key])
        for key, kind in KINDS.items()
        if key in model and (part == 'all' or key == 'backbone')
    }
    given = model.get('data_preprocessor') or {}
    chosen = {key: list(given[key]) for key in ('mean', 'std') if key in given}
    return described | (dict(data_preprocessor=chosen) if chosen else {})


def _arguments(kind: type, given: dict[str, Any]) -> dict[str, Any]:
    defaults = inspect.signature(kind).parameters
    values = {name: given.get(name, parameter.default) for name, parameter in defaults.items()}
    return {
        name: list(value) if isinstance(value, tuple) else value  # as JSON has it
        for name, value in values.items()
        if name not in NOT_OF_THE_WEIGHTS
    }


def _write(stem: Path, suffix: str, state: dict[str, Tensor], meta: dict) -> Published:
    unnamed = stem.with_name(f'{stem.name}-unnamed{suffix}')
    try:
        write_checkpoint(unnamed, state, meta=meta)
        again = read_checkpoint(unnamed)
        if again.meta != meta or not _equal(again.state, state):
            raise RuntimeError(f'{unnamed} does not hold what was written to it')
        digest = hashlib.sha256(unnamed.read_bytes()).hexdigest()
        path = unnamed.rename(stem.with_name(f'{stem.name}-{digest[:8]}{suffix}'))
    finally:
        unnamed.unlink(missing_ok=True)
    values = sum(x.numel() for x in state.values())
    return Published(path, digest, path.stat().st_size, len(state), values)


def _equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)
