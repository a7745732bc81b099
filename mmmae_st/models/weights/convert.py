"""Weights of other codes as ours, and ours as theirs.

The state dicts here hold ``backbone.*`` (``SpacetimeViT``), ``decoder.*`` and ``head.*``
(``SpatiotemporalMAE``) and ``cls_head.*`` (a recogniser of mmaction2).
Dimensions: D width, L = t*h*w tokens, u p q frames, rows and columns of a patch.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mmmae_st.models.weights import names
from mmmae_st.models.weights.describe import describe, pooling_of_classifier
from mmmae_st.models.weights.files import Checkpoint
from mmmae_st.models.weights.resample import inflate_image, resize_table, videomae_table
from mmmae_st.models.weights.written_config import written_model

KERNEL = 'backbone.patch_embed.proj.weight'


@dataclass
class Weights:
    """Weights under our names.

    Attributes:
        state: Parameters by our names.
        source: Whose they were, see ``names``.
        config: Arguments of our classes that give the same outputs, as far as the file tells:
            ``backbone``, and if there is one ``decoder``, ``head``, ``data_preprocessor``.
        changed: Our names of tensors that were computed, with how.
        notes: What the names do not show and a user should know, as sentences.
        left_out: Names in the file that have no place here.
        trained_as: ``model`` of the config that a run of ours wrote into the file, or what
            ``publish`` noted of it.
    """

    state: dict[str, Tensor]
    source: str
    config: dict[str, dict[str, Any]] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    trained_as: dict[str, Any] = field(default_factory=dict)


def to_ours(file: Checkpoint, prefix: str | None = None, tubelet_size: int = 2) -> Weights:
    """Weights of any known source as ours.

    - Separate projections are fused: ``qkv`` = [q; k; v].
    - A joint position table that begins with the class token is split.
    - VideoMAE learns no bias for the keys: theirs is exactly zero, as are the biases of encoders
      without any for queries, keys and values. Its fixed table over the running token index,
      which its files leave out, is put into ``pos_embed='joint'``.
    - 2-D kernels are inflated to W / u in each of the u frames, with a temporal embedding of
      zero: a clip of one tubelet of equal frames gives the output of the 2-D model.
    - V-JEPA 2 does not read the fixed table that some of its files hold; V-JEPA does.
    - Decoders of VideoMAE and image MAE, the predictor of V-JEPA, and classifiers of images are
      left out; so are classifiers that pool the tokens as no ``out_type`` of ours does.

    Args:
        file: What ``read_checkpoint`` gives.
        prefix: Take only the parameters whose names begin so, if any do.
        tubelet_size: Frames u that 2-D kernels are inflated to.

    Raises:
        ValueError: If the file is of no known kind, its encoder is not complete, or it has
            parameters that a plain vision transformer has not.
    """
    state, left_out = _below_prefix(file.state, prefix)
    source, table = names.detect_source(state, file.key)
    weights = Weights({}, source, left_out=left_out)
    if source == 'mmmae_st':
        bare = KERNEL not in state
        weights.state = {f'backbone.{k}' if bare else k: v for k, v in state.items()}
        published = file.meta.get('config', {}) if file.meta.get('source') == source else {}
        weights.trained_as = written_model(file.config_text) or published
    else:
        _translate(weights, state, table)
        _fuse_projections(weights)
        _add_zero_biases(weights)
        _adapt_embeddings(weights, tubelet_size)
    _check_encoder(weights.state)
    pooling = pooling_of_classifier(weights.state, source, state, file.args)
    if pooling == 'other':
        _leave_out_classifier(weights)
    weights.source = file.meta.get('source', source)
    weights.config = file.meta.get('config') or describe(
        weights.state, source, file.args, pooling, table is names.HUGGINGFACE_NAMES
    )
    return weights


def to_mae_st(weights: Weights) -> tuple[dict[str, Tensor], list[str]]:
    """Our weights under the names of mae_st, with separate projections.

    Returns:
        The state dict, and the names of ours that mae_st has no place for: heads of detectors,
        and a decoder without a class token of its own where the encoder has one.

    Raises:
        ValueError: If the position embeddings are not learnt, or the encoder has a mask token.
    """
    state = weights.state
    if not any(name.startswith('backbone.pos_embed.') for name in state):
        raise ValueError(
            "mae_st learns its position embeddings; pos_embed='sincos' has none to write"
        )
    if 'backbone.mask_token' in state:
        raise ValueError('mae_st has no encoder with a mask token (with_mask_token=True)')
    own_cls = 'decoder.cls_token' in state or 'backbone.cls_token' not in state
    result: dict[str, Tensor] = {}
    left_out = []
    for name, tensor in state.items():
        theirs = names.to_mae_st_name(name)
        if theirs is None or (name.startswith(('decoder.', 'head.')) and not own_cls):
            left_out.append(name)
        elif '.attn.qkv.' in theirs:
            for letter, part in zip('qkv', tensor.chunk(3), strict=True):
                result[theirs.replace('.qkv.', f'.{letter}.')] = part
        else:
            result[theirs] = tensor
    for table in ('pos_embed', 'decoder_pos_embed'):
        if table in result and f'{table}_class' in result:
            result[table] = torch.cat([result.pop(f'{table}_class'), result[table]], dim=1)
    return result, left_out


def to_timm(weights: Weights, global_pool: str = 'token') -> tuple[dict[str, Tensor], list[str]]:
    """Our encoder as a 2-D vision transformer of timm, for instance ``vit_large_patch16_224``.

    The kernel is summed over its frames; the position of an image is that of a clip of one
    tubelet (the temporal embedding resampled to length 1, plus the spatial one). The model then
    gives for an image what the video model gives for its repetition over one tubelet. There is
    no classifier: build it with ``num_classes=0``.

    Args:
        weights: Ours.
        global_pool: Of the model of timm. ``'token'`` norms the tokens, as our
            ``out_type='tokens'``; ``'avg'`` norms their mean (``fc_norm``), as ``'pooled'``.

    Returns:
        The state dict, and the names of ours that are left out.

    Raises:
        ValueError: If the encoder has no class token or no separable position embedding.
    """
    state = weights.state
    needed = [f'backbone.{n}' for n in ('cls_token', 'pos_embed.spatial', 'pos_embed.cls')]
    if any(name not in state for name in needed):
        raise ValueError(
            "a 2-D vision transformer of timm needs pos_embed='separable' and "
            'with_cls_token=True; the weights lack '
            + ', '.join(name for name in needed if name not in state)
        )
    result: dict[str, Tensor] = {}
    left_out = []
    for name, tensor in state.items():
        if not name.startswith('backbone.') or name == 'backbone.mask_token':
            left_out.append(name)
        elif not name.startswith('backbone.pos_embed.'):
            theirs = name.removeprefix('backbone.')
            if global_pool == 'avg' and theirs.startswith('norm.'):
                theirs = f'fc_{theirs}'
            result[theirs] = tensor
    result['patch_embed.proj.weight'] = state[KERNEL].sum(dim=2)
    temporal = state['backbone.pos_embed.temporal']
    one_step = resize_table(temporal, (temporal.shape[1], 1, 1), (1, 1, 1))
    patches = state['backbone.pos_embed.spatial'] + one_step
    result['pos_embed'] = torch.cat([state['backbone.pos_embed.cls'], patches], dim=1)
    return result, left_out


def _below_prefix(
    state: dict[str, Tensor], prefix: str | None
) -> tuple[dict[str, Tensor], list[str]]:
    if prefix is None or prefix == 'backbone.':
        return state, []
    below = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    if not below:
        parts = sorted({name.split('.')[0] + '.' for name in state})
        raise ValueError(f'no parameter begins with prefix={prefix!r}; they begin with {parts}')
    return below, [name for name in state if not name.startswith(prefix)]


def _translate(
    weights: Weights, state: dict[str, Tensor], table: tuple[tuple[str, str], ...]
) -> None:
    unknown = []
    for foreign, tensor in state.items():
        ours = names.to_our_name(names.translate(foreign, table))
        if re.fullmatch(names.LEFT_OUT[weights.source], foreign):
            weights.left_out.append(foreign)
        elif ours is None:
            unknown.append(foreign)
        elif ours in weights.state:
            raise ValueError(f'two parameters of the file are {ours} here, one is {foreign}')
        else:
            weights.state[ours] = tensor
    if unknown:
        raise ValueError(_not_plain(unknown))


def _fuse_projections(weights: Weights) -> None:
    state = weights.state
    owners = {re.sub(r'\.[qkv]\.(weight|bias)$', '', k) for k in state if '.attn.' in k}
    for owner in sorted(owner for owner in owners if owner.endswith('.attn')):
        for kind in ('weight', 'bias'):
            keys = {letter: f'{owner}.{letter}.{kind}' for letter in 'qkv'}
            parts = {letter: state.pop(key) for letter, key in keys.items() if key in state}
            if weights.source == 'videomae' and kind == 'bias' and set(parts) == set('qv'):
                parts['k'] = torch.zeros_like(parts['q'])
            if not parts:
                continue
            lacking = [letter for letter in 'qkv' if letter not in parts]
            if lacking:
                raise ValueError(f'{owner} has no {kind} for {lacking} while it has the others')
            state[f'{owner}.qkv.{kind}'] = torch.cat([parts[letter] for letter in 'qkv'])
            weights.changed[f'{owner}.qkv.{kind}'] = 'fused from q, k and v'


def _add_zero_biases(weights: Weights) -> None:
    """For encoders built with ``qkv_bias=False``: no block has any."""
    state = weights.state
    for part in ('backbone', 'decoder'):
        of_part = re.compile(rf'{part}\.blocks\.\d+\.attn\.qkv\.weight')
        matrices = [name for name in state if of_part.fullmatch(name)]
        biases = {name.replace('weight', 'bias'): state[name][:, 0] for name in matrices}
        if biases.keys().isdisjoint(state):
            state |= {name: torch.zeros_like(column) for name, column in biases.items()}
            weights.changed |= dict.fromkeys(biases, 'zero')


def _adapt_embeddings(weights: Weights, tubelet_size: int) -> None:
    state, source = weights.state, weights.source
    cls_of_decoder = 'decoder.cls_token' if source == 'mae_st' else 'backbone.cls_token'
    for part, cls_token in (('backbone', 'backbone.cls_token'), ('decoder', cls_of_decoder)):
        joint = f'{part}.pos_embed.joint'
        if joint in state and cls_token in state:
            length = state[joint].shape[1]
            if source == 'image_mae' and _is_square(length) and not _is_square(length - 1):
                state[f'{part}.pos_embed.cls'] = torch.zeros_like(state[cls_token])
                weights.changed[f'{part}.pos_embed.cls'] = 'zero'
                continue
            state[f'{part}.pos_embed.cls'] = state[joint][:, :1]
            state[joint] = state[joint][:, 1:]
            weights.changed[joint] = weights.changed[f'{part}.pos_embed.cls'] = 'split'
    if KERNEL not in state:
        return
    if source == 'image_mae':
        weights.changed |= inflate_image(state, tubelet_size)
    elif source == 'videomae' and 'backbone.pos_embed.joint' not in state:
        width, _, tubelet, patch = state[KERNEL].shape[:4]
        num_tokens = (16 // tubelet) * (224 // patch) ** 2
        state['backbone.pos_embed.joint'] = videomae_table(num_tokens, width)
        weights.changed['backbone.pos_embed.joint'] = 'computed for 16 frames of 224x224'
    elif source == 'vjepa' and not _is_first_vjepa(state):
        table = state.pop('backbone.pos_embed.joint', None)
        weights.left_out += [] if table is None else ['pos_embed']


def _is_first_vjepa(state: dict[str, Tensor]) -> bool:
    """V-JEPA before 2 adds a table: of 16 frames of 224 pixels, or of 384 for a ViT-H."""
    table = state.get('backbone.pos_embed.joint')
    return table is not None and (
        table.shape[1] == 8 * 14**2 or tuple(table.shape[1:]) == (8 * 24**2, 1280)
    )


def _is_square(number: int) -> bool:
    return math.isqrt(number) ** 2 == number


def _leave_out_classifier(weights: Weights) -> None:
    found = [name for name in weights.state if name.startswith('cls_head.')]
    for name in found:
        del weights.state[name]
    weights.left_out += found
    weights.notes.append(
        'the classifier is left out: it pools the tokens in a way that no out_type has'
    )


def _check_encoder(state: dict[str, Tensor]) -> None:
    foreign = [
        name
        for name in state
        if name.startswith(('backbone.', 'decoder.')) and not names.OUR_NAMES.fullmatch(name)
    ]
    if foreign:
        raise ValueError(_not_plain(foreign))
    found = re.compile(r'backbone\.blocks\.(\d+)\.')
    depth = max((int(m[1]) + 1 for m in map(found.match, state) if m), default=0)
    layers = [f'blocks.{i}.{layer}' for i in range(max(depth, 1)) for layer in names.LAYERS]
    wanted = [f'backbone.{n}.{k}' for n in (*layers, 'patch_embed.proj') for k in names.KINDS]
    if any(name.startswith('backbone.pos_embed.') for name in state):
        cls = 'backbone.cls_token', 'backbone.pos_embed.cls'
        wanted += cls if any(name in state for name in cls) else ()
    missing = [name for name in wanted if name not in state]
    if missing:
        raise ValueError(
            f'the encoder is not complete: {len(missing)} of {len(wanted)} parameters of its '
            f'{depth} blocks are missing: {names.some(missing)}'
        )


def _not_plain(unknown: list[str]) -> str:
    return (
        f'{len(unknown)} parameters are of no plain vision transformer (as in MViT, or with '
        f'relative positions or layer scale): {names.some(unknown)}'
    )
