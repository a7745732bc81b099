"""Checkpoints of tensors and plain data only, so that ``torch.load(weights_only=True)`` reads them.

mmengine 0.10.7 pickles ``HistoryBuffer`` objects into its checkpoints, which PyTorch 2.6 and later
refuse to read back (mmengine issue 1655).
"""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

# Written by libraries, needed to go on: what is not plain there is an error, not left out.
NEEDED = ('state_dict', 'optimizer', 'param_schedulers')
_LEFT_OUT = object()


def make_plain(checkpoint: dict) -> list[str]:
    """Turn a checkpoint of mmengine's Runner into tensors and plain data, in place.

    Histories become dicts of tensors, numpy values Python's, paths strings. Other objects are left
    out of ``meta`` and ``message_hub``.

    Args:
        checkpoint: What ``Runner.save_checkpoint`` is about to write.

    Returns:
        Key paths of what was left out, with its type.

    Raises:
        TypeError: If the state of the model, the optimiser or a schedule holds such an object.
    """
    left_out: list[str] = []
    for key in list(checkpoint):
        dropped: list[str] = []
        plain = _plain(checkpoint[key], key, dropped)
        if dropped and key in NEEDED:
            raise TypeError(f'a checkpoint holds tensors and plain data only, not {dropped[0]}')
        left_out += dropped
        if plain is _LEFT_OUT:
            del checkpoint[key]
        elif key != 'state_dict':  # keep the OrderedDict that carries the modules' versions
            checkpoint[key] = plain
    return left_out


def restore_histories(checkpoint: dict) -> None:
    """Turn the histories of a checkpoint written by ``make_plain`` back, in place."""
    scalars = checkpoint.get('message_hub', {}).get('log_scalars', {})
    for key, value in scalars.items():
        if isinstance(value, dict):
            log, count = (value[name].cpu().numpy() for name in ('log', 'count'))
            scalars[key] = HistoryBuffer(log, count, value['max_length'])


def _plain(value: Any, path: str, left_out: list[str]) -> Any:
    if value is None or type(value) in (bool, int, float, complex, str, bytes, torch.Size):
        return value
    if isinstance(value, torch.Tensor):
        return value.detach() if type(value) is torch.nn.Parameter else value
    if isinstance(value, HistoryBuffer):
        log, count = value.data
        return dict(
            log=torch.from_numpy(np.array(log)),
            count=torch.from_numpy(np.array(count)),
            max_length=value.max_length,
        )
    if isinstance(value, Mapping):
        items = {k: _plain(v, f'{path}.{k}', left_out) for k, v in value.items()}
        items = {k: v for k, v in items.items() if v is not _LEFT_OUT}
        return OrderedDict(items) if isinstance(value, OrderedDict) else items
    if isinstance(value, list | tuple | set | frozenset):
        entries = [_plain(v, f'{path}[{i}]', left_out) for i, v in enumerate(value)]
        entries = [v for v in entries if v is not _LEFT_OUT]
        return tuple(entries) if isinstance(value, tuple) else entries
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.tolist()
    if isinstance(value, PurePath):
        return str(value)
    for kind in (bool, int, float, str):  # an enumeration or another subclass
        if isinstance(value, kind):
            return kind(value)
    left_out.append(f'{path}: {type(value).__module__}.{type(value).__qualname__}')
    return _LEFT_OUT
