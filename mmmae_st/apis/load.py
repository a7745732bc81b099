"""Models out of checkpoint files that describe themselves."""

from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmmae_st.models import ClipDataPreprocessor, SpacetimeViT, SpatiotemporalMAE
from mmmae_st.models.weights import load_pretrained, parse_config, read_checkpoint, to_ours
from mmmae_st.registry import MODELS

HOW_TO = 'name the config it was trained with (--config)'


def load_autoencoder(checkpoint: str | Path, config: Config | None = None) -> SpatiotemporalMAE:
    """A pretraining model with its weights, in eval mode; ``model.cfg`` is its config.

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
    model.cfg = Config(dict(model=model_cfg))
    return model.eval()


def load_encoder(
    checkpoint: str | Path, config: Config | None = None
) -> tuple[SpacetimeViT, ClipDataPreprocessor]:
    """The encoder of any checkpoint, giving tokens, and its preprocessor; both in eval mode.

    The tokens are normed, but for a file without a final norm. ``encoder.cfg`` is the config of the
    model in the file.

    Args:
        checkpoint: Pretraining model, recogniser, detector or encoder, see ``load_pretrained``.
        config: The config it was trained with; by default what the file says.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read or does not say what it belongs to.
    """
    model_cfg = model_config(checkpoint, config)
    backbone = dict(_without_init(model_cfg['backbone']), type='SpacetimeViT')
    backbone['out_type'] = 'raw' if backbone.get('out_type') == 'raw' else 'tokens'
    encoder = MODELS.build(backbone)
    load_pretrained(encoder, checkpoint)
    encoder.cfg = Config(dict(model=model_cfg))
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
    if file.config_text:
        written = parse_config(file.config_text)
        if 'model' in written:
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
