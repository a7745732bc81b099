"""Models out of checkpoint files that describe themselves."""

import argparse
import ast
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmmae_st.models import ClipDataPreprocessor, SpacetimeViT, SpatiotemporalMAE
from mmmae_st.models.checkpoint import load_pretrained, read_checkpoint, to_ours
from mmmae_st.registry import MODELS

HOW_TO = 'name the config it was trained with (--config)'


def load_autoencoder(checkpoint: str | Path, config: Config | None = None) -> SpatiotemporalMAE:
    """A pretraining model with its weights, in eval mode.

    Args:
        checkpoint: Checkpoint of this project or of another source with a decoder that fits
            ours (mae_st, PySlowFast).
        config: The config it was trained with; by default what the file says.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, holds no decoder, or does not say what it belongs to.
    """
    model_cfg = model_config(checkpoint, config)
    if 'decoder' not in model_cfg or 'head' not in model_cfg:
        raise ValueError(
            f'{checkpoint} holds an encoder without a decoder: only a checkpoint of pretraining '
            'can reconstruct'
        )
    parts = {
        key: dict(model_cfg[key], type=kind)
        for key, kind in dict(backbone='SpacetimeViT', decoder='MAEDecoder', head='MAEHead').items()
    }
    model = MODELS.build(
        dict(
            type='SpatiotemporalMAE',
            data_preprocessor=_preprocessor_config(model_cfg),
            **{key: _without_init(part) for key, part in parts.items()},
        )
    )
    load_pretrained(model, checkpoint)
    return model.eval()


def load_encoder(
    checkpoint: str | Path, config: Config | None = None
) -> tuple[SpacetimeViT, ClipDataPreprocessor]:
    """The encoder of any checkpoint, giving tokens, and its preprocessor; both in eval mode.

    Args:
        checkpoint: Pretraining model, recogniser, detector or encoder, see ``load_pretrained``.
        config: The config it was trained with; by default what the file says.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read or does not say what it belongs to.
    """
    model_cfg = model_config(checkpoint, config)
    backbone = dict(_without_init(model_cfg['backbone']), type='SpacetimeViT', out_type='tokens')
    encoder = MODELS.build(backbone)
    load_pretrained(encoder, checkpoint)
    preprocessor = MODELS.build(_preprocessor_config(model_cfg))
    return encoder.eval(), preprocessor.eval()


def model_config(checkpoint: str | Path, config: Config | None = None) -> dict[str, Any]:
    """Arguments of the model that a checkpoint belongs to, by part (``backbone`` and so on).

    Args:
        checkpoint: Any checkpoint with an encoder.
        config: The config it was trained with; by default what the file says: the config written
            into it, or what its parameters tell.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read or does not say what it belongs to.
    """
    if config is not None:
        return config.to_dict()['model']
    file = read_checkpoint(checkpoint)
    written = checkpoint_config(checkpoint)
    if written is not None and 'model' in written:
        return written.to_dict()['model']
    try:
        described = to_ours(file).config
    except ValueError as error:
        raise ValueError(f'{checkpoint}: {error}') from error
    unknown = [part for part, cfg in described.items() if _has_unknown(cfg)]
    if unknown:
        raise ValueError(
            f'{checkpoint} does not tell the number of heads of its {" and ".join(unknown)}: '
            + HOW_TO
        )
    return described


def checkpoint_config(checkpoint: str | Path) -> Config | None:
    """The config that mmengine's Runner wrote into a checkpoint; None if there is none.

    It is stored as Python text. Only literals and calls of ``dict`` are evaluated, nothing runs.

    Raises:
        ValueError: If the text holds anything else.
    """
    if Path(checkpoint).suffix == '.safetensors' or '://' in str(checkpoint):
        return None
    with torch.serialization.safe_globals([argparse.Namespace]):  # mae_st's files hold one
        content = torch.load(checkpoint, map_location='cpu', weights_only=True)
    meta = content.get('meta') if isinstance(content, dict) else None
    text = meta.get('cfg') if isinstance(meta, dict) else None
    return parse_config(text) if isinstance(text, str) else None


def parse_config(text: str) -> Config:
    """The text that ``Config.pretty_text`` gives, without running it.

    Raises:
        ValueError: If it holds anything but assignments of literals and calls of ``dict``.
    """
    values = {}
    try:
        for statement in ast.parse(text).body:
            if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
                raise ValueError(f'line {statement.lineno} is no assignment')
            target = statement.targets[0]
            if not isinstance(target, ast.Name):
                raise ValueError(f'line {statement.lineno} does not assign to a name')
            values[target.id] = _literal(statement.value)
    except (SyntaxError, TypeError, ValueError) as error:
        raise ValueError(f'the config in the checkpoint cannot be read: {error}') from error
    return Config(values)


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        result: dict[Any, Any] = {}
        for argument in node.args:  # dict({'not.a.name': 1})
            result.update(_literal(argument))
        for keyword in node.keywords:
            value = _literal(keyword.value)
            result.update(value if keyword.arg is None else {keyword.arg: value})
        return result
    if isinstance(node, ast.Dict):
        if any(key is None for key in node.keys):
            raise ValueError(f'line {node.lineno} unpacks a dict')
        return {
            _literal(key): _literal(value)
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None
        }
    if isinstance(node, ast.List):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_literal(item) for item in node.elts)
    return ast.literal_eval(node)


def _has_unknown(cfg: dict[str, Any]) -> bool:
    return any(
        value is None or (isinstance(value, dict) and _has_unknown(value))
        for key, value in cfg.items()
        if key in ('num_heads', 'arch')
    )


def _preprocessor_config(model_cfg: dict[str, Any]) -> dict[str, Any]:
    """Ours, with the mean and deviation of whichever preprocessor the config has."""
    given = model_cfg.get('data_preprocessor') or {}
    chosen = {key: given[key] for key in ('mean', 'std') if key in given}
    return dict(type='ClipDataPreprocessor', **chosen)


def _without_init(cfg: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in cfg.items() if key != 'init_cfg'}
