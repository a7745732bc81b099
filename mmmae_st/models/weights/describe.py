"""What a state dict of ours tells about the model it belongs to."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mmmae_st.models import hog
from mmmae_st.models.archs import ARCHS

Grid = tuple[int, int, int]

IMAGENET_PREPROCESSOR = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
MAE_ST_DECODER_HEADS = 16
PYSLOWFAST_HEAD_WIDTH = 64


def describe(
    state: Mapping[str, Tensor], source: str, args: Mapping[str, Any], from_hugging_face: bool
) -> dict[str, dict[str, Any]]:
    """Arguments of our classes for these weights, as far as they can be told.

    Args:
        state: Parameters by our names, of a complete encoder.
        source: Whose they were.
        args: Training arguments found with them.
        from_hugging_face: Whether Hugging Face's layer-norm epsilon applies.

    Returns:
        ``backbone``, and where they apply ``decoder``, ``head`` and ``data_preprocessor``. What
        names and shapes do not show is None: the number of heads of an unnamed size, and whether
        a decoder with ``pos_embed='sincos'`` takes the encoder's class token.
    """
    kernel = state['backbone.patch_embed.proj.weight']
    _, channels, tubelet, patch, _ = kernel.shape
    grid = token_grids(state)['backbone']
    backbone: dict[str, Any] = dict(arch=_arch(state), patch_size=patch, tubelet_size=tubelet)
    if channels != 3:
        backbone['in_channels'] = channels
    if grid is not None:
        backbone |= dict(img_size=grid[1] * patch, num_frames=grid[0] * tubelet)
    backbone |= dict(
        pos_embed=_kind(state, 'backbone'), with_cls_token='backbone.cls_token' in state
    )
    if any(name.startswith('cls_head.') for name in state):
        backbone['out_type'] = 'pooled'
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
    if source in ('videomae', 'image_mae'):
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


def token_grids(state: Mapping[str, Tensor]) -> dict[str, Grid | None]:
    """Token grids (t, h, w) of encoder and decoder, None where they cannot be told.

    Frames are taken as square; a lone joint table as made for 16 frames.
    """
    kernel = state['backbone.patch_embed.proj.weight']
    grids: dict[str, Grid | None] = {}
    for part in ('backbone', 'decoder'):
        spatial = state.get(f'{part}.pos_embed.spatial')
        temporal = state.get(f'{part}.pos_embed.temporal')
        joint = state.get(f'{part}.pos_embed.joint')
        if spatial is not None and temporal is not None:
            grids[part] = _grid(temporal.shape[1], spatial.shape[1])
        elif joint is not None:
            steps = max(16 // kernel.shape[2], 1)
            grids[part] = _grid(steps, joint.shape[1] / steps)
        else:
            grids[part] = None
    encoder, joint = grids['backbone'], state.get('decoder.pos_embed.joint')
    if joint is not None and encoder is not None and joint.shape[1] == math.prod(encoder):
        grids['decoder'] = encoder
    return grids


def _grid(steps: int, area: float) -> Grid | None:
    side = math.isqrt(int(area))
    return (steps, side, side) if side * side == area else None


def _arch(state: Mapping[str, Tensor]) -> str | dict[str, Any]:
    width = state['backbone.patch_embed.proj.weight'].shape[0]
    depth = _depth(state, 'backbone')
    known = [name for name, arch in ARCHS.items() if arch[:2] == (width, depth)]
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
