"""What a state dict of ours tells about the model it belongs to."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from mmmae_st.models import hog
from mmmae_st.models.archs import ARCHS
from mmmae_st.models.weights.names import MAY_LACK_NORM

Grid = tuple[int, int, int]

IMAGENET_PREPROCESSOR = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
# what V-JEPA 2 is published for, but for one file for 384 pixels; its weights do not tell
VJEPA_CLIP = dict(img_size=256, num_frames=64)
MAE_ST_DECODER_HEADS = 16
PYSLOWFAST_HEAD_WIDTH = 64


def describe(
    state: Mapping[str, Tensor],
    source: str,
    args: Mapping[str, Any],
    pooling: str | None,
    from_hugging_face: bool,
) -> dict[str, dict[str, Any]]:
    """Arguments of our classes for these weights, as far as they can be told.

    Args:
        state: Parameters by our names, of a complete encoder.
        source: Whose they were.
        args: Training arguments found with them.
        pooling: ``out_type`` that a classifier was trained on, if there is one.
        from_hugging_face: Whether Hugging Face's layer-norm epsilon applies.

    Returns:
        ``backbone``, and where they apply ``decoder``, ``head`` and ``data_preprocessor``. What
        names and shapes do not show is None: the number of heads of an unnamed size, whether a
        decoder with ``pos_embed='sincos'`` takes the encoder's class token, and what a classifier
        of PySlowFast without its config pools.
    """
    kernel = state['backbone.patch_embed.proj.weight']
    _, channels, tubelet, patch, _ = kernel.shape
    positions = _kind(state, 'backbone')
    if source == 'vjepa' and positions == 'sincos':
        positions = 'rope'
    grid = _token_grid(state, args)
    backbone: dict[str, Any] = dict(
        arch=_arch(state, source), patch_size=patch, tubelet_size=tubelet
    )
    if channels != 3:
        backbone['in_channels'] = channels
    if grid is not None:
        backbone |= dict(img_size=grid[1] * patch, num_frames=grid[0] * tubelet)
    elif positions == 'rope':
        backbone |= VJEPA_CLIP
    backbone |= dict(pos_embed=positions, with_cls_token='backbone.cls_token' in state)
    if any(name.startswith('cls_head.') for name in state):
        backbone['out_type'] = pooling
    elif 'backbone.norm.weight' not in state and source in MAY_LACK_NORM:
        backbone['out_type'] = 'raw'
    if 'backbone.mask_token' in state:
        backbone['with_mask_token'] = True
    hidden = state['backbone.blocks.0.mlp.fc1.weight'].shape[0] / kernel.shape[0]
    if hidden != 4:
        backbone['mlp_ratio'] = hidden
    if from_hugging_face:
        backbone['norm_eps'] = 1e-12
    config: dict[str, dict[str, Any]] = dict(backbone=backbone)
    if 'decoder.embed.weight' in state and 'head.pred.weight' in state:
        config['decoder'] = _decoder(state, source, args, backbone)
        config['head'] = _head(state, source, args, backbone)
    if source in ('videomae', 'vjepa', 'image_mae'):
        config['data_preprocessor'] = dict(IMAGENET_PREPROCESSOR)
    return config


def summarise(state: Mapping[str, Tensor], source: str, config: Mapping[str, Any]) -> str:
    """One line that says what a file seems to be."""
    backbone = config['backbone']
    if any(name.startswith('cls_head.') for name in state):
        kind = 'a fine-tuned classifier'
    elif any(name.startswith('roi_head.') for name in state):
        kind = 'a detector'
    else:
        kind = 'a pretraining model' if 'decoder' in config else 'an encoder'
    arch = backbone['arch']
    size = repr(arch) if isinstance(arch, str) else f'{arch["embed_dims"]}x{arch["depth"]}'
    patch = backbone['patch_size']
    return (
        f'{kind} ({source}): encoder {size}, patches of {backbone["tubelet_size"]}x{patch}x{patch}'
        f', {backbone["pos_embed"]} position embeddings, '
        f'{"with" if backbone["with_cls_token"] else "without"} class token'
    )


def pooling_of_classifier(
    state: Mapping[str, Tensor],
    source: str,
    foreign: Iterable[str],
    args: Mapping[str, Any],
) -> str | None:
    """``out_type`` of the encoder that a fine-tuned classifier in the file was trained on.

    Args:
        state: Parameters by our names.
        source: Whose they were.
        foreign: The names in the file.
        args: Training arguments found with them.

    Returns:
        None if there is no classifier or the file does not tell; ``'other'`` for what our encoder
        does not do: mae_st without a class token, which leaves out the first patch, and
        PySlowFast without one, which may average what it has normed.
    """
    if not any(name.startswith('cls_head.') for name in state):
        return None
    with_cls_token = 'backbone.cls_token' in state
    if source == 'mae_st':
        return 'pooled' if with_cls_token else 'other'
    if source == 'pyslowfast':
        mean = args.get('MVIT', {}).get('USE_MEAN_POOLING')
        if mean is None:
            return None
        return 'pooled' if mean else 'first' if with_cls_token else 'other'
    if source == 'videomae':  # its norm is called fc_norm where it comes after the mean
        has_fc_norm = any(name.endswith('fc_norm.weight') for name in foreign)
        return 'pooled' if has_fc_norm else 'first'
    return 'pooled'


def _token_grid(state: Mapping[str, Tensor], args: Mapping[str, Any]) -> Grid | None:
    """Token grid (t, h, w) that the position tables are for, None where it cannot be told.

    Frames are taken as square. A lone joint table is for as many frames as the arguments of
    training say, or else for 16, or else for frames of 224 pixels.
    """
    _, _, tubelet, patch, _ = state['backbone.patch_embed.proj.weight'].shape
    for part in ('backbone', 'decoder'):
        spatial = state.get(f'{part}.pos_embed.spatial')
        temporal = state.get(f'{part}.pos_embed.temporal')
        joint = state.get(f'{part}.pos_embed.joint')
        if spatial is not None and temporal is not None:
            return _grid(temporal.shape[1], spatial.shape[1])
        if joint is not None:
            frames = args.get('num_frames') or args.get('DATA', {}).get('NUM_FRAMES') or 16
            length, steps = joint.shape[1], max(frames // tubelet, 1)
            at_224 = length // max((224 // patch) ** 2, 1)
            grids = (_grid(t, length / t) for t in (steps, at_224) if t)
            return next((grid for grid in grids if grid is not None), None)
    return None


def _grid(steps: int, area: float) -> Grid | None:
    side = math.isqrt(int(area))
    return (steps, side, side) if side * side == area else None


def _arch(state: Mapping[str, Tensor], source: str) -> str | dict[str, Any]:
    width = state['backbone.patch_embed.proj.weight'].shape[0]
    depth = _depth(state, 'backbone')
    known = [name for name, arch in ARCHS.items() if arch[:2] == (width, depth)]
    if source == 'vjepa':  # its ViT-g has other heads
        known.reverse()
    return known[0] if known else dict(embed_dims=width, depth=depth, num_heads=None)


def _depth(state: Mapping[str, Tensor], part: str) -> int:
    begin = f'{part}.blocks.'
    return 1 + max(int(n.removeprefix(begin).split('.')[0]) for n in state if n.startswith(begin))


def _kind(state: Mapping[str, Tensor], part: str) -> str:
    if f'{part}.pos_embed.joint' in state:
        return 'joint'
    return 'separable' if f'{part}.pos_embed.spatial' in state else 'sincos'


def _decoder(
    state: Mapping[str, Tensor],
    source: str,
    args: Mapping[str, Any],
    backbone: Mapping[str, Any],
) -> dict[str, Any]:
    width, encoder_width = state['decoder.embed.weight'].shape
    decoder: dict[str, Any] = dict(
        encoder_dims=encoder_width, embed_dims=width, depth=_depth(state, 'decoder'), num_heads=None
    )
    if source == 'mae_st':
        decoder['num_heads'] = args.get('decoder_num_heads', MAE_ST_DECODER_HEADS)
    elif source == 'pyslowfast':
        decoder['num_heads'] = width // PYSLOWFAST_HEAD_WIDTH
    for key in ('img_size', 'num_frames', 'patch_size', 'tubelet_size'):
        if key in backbone:
            decoder[key] = backbone[key]
    decoder['pos_embed'] = _kind(state, 'decoder')
    if 'decoder.cls_token' in state:
        decoder['cls_token'] = 'own'
    elif decoder['pos_embed'] == 'sincos':
        decoder['cls_token'] = None
    else:
        decoder['cls_token'] = 'encoder' if 'decoder.pos_embed.cls' in state else 'none'
    decoder['encoder_cls_token'] = backbone['with_cls_token']
    if 'decoder.mask_token' not in state:
        decoder['with_mask_token'] = False
    return decoder


def _head(
    state: Mapping[str, Tensor],
    source: str,
    args: Mapping[str, Any],
    backbone: Mapping[str, Any],
) -> dict[str, Any]:
    values, width = state['head.pred.weight'].shape
    patch, tubelet = backbone['patch_size'], backbone['tubelet_size']
    head: dict[str, Any] = dict(embed_dims=width, patch_size=patch, tubelet_size=tubelet)
    rules = dict(mae_st='linspace', pyslowfast='stride')
    cells = (patch // hog.CELL) ** 2 * hog.BINS
    pixels, channels = patch**2, backbone.get('in_channels', 3)
    if values in (cells * channels, tubelet * cells * channels):
        head['target'], pixels = 'hog', cells
    if tubelet > 1 and values == tubelet * pixels * channels:
        head['frames'] = 'all'
    elif source in rules:
        head['frames'] = rules[source]
    if 'norm_pix_loss' in args:
        head['target'] = 'normalized_pixels' if args['norm_pix_loss'] else 'pixels'
    return head
