"""Foreign parameter names. Every table leads to the names of mae_st, and from there to ours.

Sources are ``mmmae_st`` (ours), ``mae_st``, ``pyslowfast``, ``videomae`` (files of its authors,
mmaction2 and Hugging Face), ``vjepa`` (V-JEPA 2 by the names of Meta and Hugging Face, and V-JEPA)
and ``image_mae`` (2-D ViT: timm, the MAE authors, Hugging Face).
"""

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

# mae_st <-> ours, by exact name or by a leading part that ends in a dot
MAE_ST_NAMES = {
    'cls_token': 'backbone.cls_token',
    'pos_embed': 'backbone.pos_embed.joint',
    'pos_embed_spatial': 'backbone.pos_embed.spatial',
    'pos_embed_temporal': 'backbone.pos_embed.temporal',
    'pos_embed_class': 'backbone.pos_embed.cls',
    'patch_embed.': 'backbone.patch_embed.',
    'blocks.': 'backbone.blocks.',
    'norm.': 'backbone.norm.',
    'decoder_embed.': 'decoder.embed.',
    'mask_token': 'decoder.mask_token',
    'decoder_cls_token': 'decoder.cls_token',
    'decoder_pos_embed': 'decoder.pos_embed.joint',
    'decoder_pos_embed_spatial': 'decoder.pos_embed.spatial',
    'decoder_pos_embed_temporal': 'decoder.pos_embed.temporal',
    'decoder_pos_embed_class': 'decoder.pos_embed.cls',
    'decoder_blocks.': 'decoder.blocks.',
    'decoder_norm.': 'decoder.norm.',
    'decoder_pred.': 'head.pred.',
    'head.': 'cls_head.fc_cls.',
}

# pattern of a whole foreign name -> mae_st's name; the first that fits is taken
PYSLOWFAST_NAMES = (
    (r'pred_head\.transforms\.0\.\d+\.(weight|bias)', r'decoder_norm.\1'),
    (r'pred_head\.transforms\.0\.(\d+\..+)', r'decoder_blocks.\1'),
    (r'pred_head\.projections\.0\.(.+)', r'decoder_pred.\1'),
    (r'dec_pos_embed_(.+)', r'decoder_pos_embed_\1'),
    (r'head\.projection\.(.+)', r'head.\1'),
)
# the authors' names; those of mmaction2, which begin with backbone., and of VideoMAE V2's files on
# Hugging Face, which begin with model.
VIDEOMAE_NAMES = (
    (r'(?:encoder\.|backbone\.|model\.)?(blocks\.\d+\.attn)\.([qv])_bias', r'\1.\2.bias'),
    (r'(?:backbone\.)?patch_embed\.projection\.(.+)', r'patch_embed.proj.\1'),
    (r'(?:backbone\.)?(blocks\.\d+\.mlp)\.layers\.0\.0\.(.+)', r'\1.fc1.\2'),
    (r'(?:backbone\.)?(blocks\.\d+\.mlp)\.layers\.1\.(.+)', r'\1.fc2.\2'),
    (r'(?:backbone\.|model\.)?fc_norm\.(.+)', r'norm.\1'),
    (r'(?:encoder|backbone|model)\.((?:patch_embed\.|blocks\.|norm\.|pos_embed|head\.).*)', r'\1'),
    (r'cls_head\.fc_cls\.(.+)', r'head.\1'),
)
IMAGE_NAMES = ((r'fc_norm\.(.+)', r'norm.\1'),)
_LAYER = r'(?:videomae\.|vit\.)?(?:encoder\.layer|layers)\.(\d+)\.'  # transformers 4, and 5
HUGGINGFACE_NAMES = (
    (r'(?:videomae\.|vit\.)?embeddings\.cls_token', r'cls_token'),
    (r'(?:videomae\.|vit\.)?embeddings\.position_embeddings', r'pos_embed'),
    (
        r'(?:videomae\.|vit\.)?embeddings\.patch_embeddings\.projection\.(.+)',
        r'patch_embed.proj.\1',
    ),
    (_LAYER + r'attention\.attention\.([qv])_bias', r'blocks.\1.attn.\2.bias'),
    (_LAYER + r'attention\.attention\.([qkv])(?:uery|ey|alue)\.(.+)', r'blocks.\1.attn.\2.\3'),
    (_LAYER + r'attention\.([qkv])_proj\.(.+)', r'blocks.\1.attn.\2.\3'),
    (_LAYER + r'attention\.(?:output\.dense|o_proj)\.(.+)', r'blocks.\1.attn.proj.\2'),
    (_LAYER + r'mlp\.(fc[12])\.(.+)', r'blocks.\1.mlp.\2.\3'),
    (_LAYER + r'intermediate\.dense\.(.+)', r'blocks.\1.mlp.fc1.\2'),
    (_LAYER + r'output\.dense\.(.+)', r'blocks.\1.mlp.fc2.\2'),
    (_LAYER + r'layernorm_before\.(.+)', r'blocks.\1.norm1.\2'),
    (_LAYER + r'layernorm_after\.(.+)', r'blocks.\1.norm2.\2'),
    (r'(?:videomae\.|vit\.)?layernorm\.(.+)', r'norm.\1'),
    (r'fc_norm\.(.+)', r'norm.\1'),
    (r'classifier\.(.+)', r'head.\1'),
)
VJEPA_NAMES = ((r'backbone\.(.+)', r'\1'),)
_ENCODER = r'(?:vjepa2\.)?encoder\.'
VJEPA_OF_HUGGINGFACE_NAMES = (
    (_ENCODER + r'embeddings\.patch_embeddings\.proj\.(.+)', r'patch_embed.proj.\1'),
    (_ENCODER + r'layer\.(\d+)\.(norm[12]|mlp\.fc[12])\.(.+)', r'blocks.\1.\2.\3'),
    (
        _ENCODER + r'layer\.(\d+)\.attention\.([qkv])(?:uery|ey|alue)\.(.+)',
        r'blocks.\1.attn.\2.\3',
    ),
    (_ENCODER + r'layer\.(\d+)\.attention\.proj\.(.+)', r'blocks.\1.attn.proj.\2'),
    (_ENCODER + r'layernorm\.(.+)', r'norm.\1'),
)
TABLES = {
    'mae_st': (),
    'pyslowfast': PYSLOWFAST_NAMES,
    'videomae': VIDEOMAE_NAMES,
    'vjepa': VJEPA_NAMES,
    'image_mae': IMAGE_NAMES,
}
# keys under which Meta's files of V-JEPA keep the encoder; its names are those of our encoders
VJEPA_KEYS = ('target_encoder', 'encoder')

# files of these may lack the final norm: out_type='raw', and transformers before fine-tuning
MAY_LACK_NORM = ('mmmae_st', 'videomae')

# parts of foreign models that are left out: decoders that differ from ours, fixed filters of HOG,
# the predictor and the attentive classifier of V-JEPA 2
LEFT_OUT = {
    'mae_st': r'$^',
    'pyslowfast': r'hogs\..+',
    'videomae': r'decoder\..+|encoder_to_decoder\..+|mask_token',
    'vjepa': r'(?:vjepa2\.)?predictor\..+|pooler\..+|classifier\..+',
    'image_mae': r'decoder\..+|decoder_.+|mask_token|head\..+|classifier\..+|pooler\..+',
}

KINDS = ('weight', 'bias')
LAYERS = ('norm1', 'attn.qkv', 'attn.proj', 'norm2', 'mlp.fc1', 'mlp.fc2')
_LINEAR = rf'\.(?:{"|".join(KINDS)})'
_BLOCK = rf'blocks\.\d+\.(?:{"|".join(map(re.escape, LAYERS))}){_LINEAR}'
_POSITIONS = r'pos_embed\.(?:spatial|temporal|joint|cls)'
OUR_NAMES = re.compile(
    rf'backbone\.(?:cls_token|mask_token|{_POSITIONS}|patch_embed\.proj{_LINEAR}|{_BLOCK}|'
    rf'norm{_LINEAR})|'
    rf'decoder\.(?:cls_token|mask_token|{_POSITIONS}|embed{_LINEAR}|{_BLOCK}|norm{_LINEAR})|'
    rf'head\.pred{_LINEAR}'
)
_VIDEOMAE_ONLY = re.compile(
    r'.*\.attn\.q_bias|(?:encoder|model)\.patch_embed\.proj\.weight|'
    r'(?:backbone\.)?patch_embed\.projection\.weight'
)
_HF_KERNEL = re.compile(r'(?:videomae\.|vit\.)?embeddings\.patch_embeddings\.projection\.weight')
_HF_VJEPA_KERNEL = re.compile(_ENCODER + r'embeddings\.patch_embeddings\.proj\.weight')


def detect_source(
    state: Mapping[str, Tensor], key: str = ''
) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Tell whose names these are.

    Args:
        state: Parameters by the names of a file.
        key: Key of the file under which they were.

    Returns:
        The source and its table of names.

    Raises:
        ValueError: If they belong to no model that can be read.
    """
    hf_kernel = next((state[name] for name in state if _HF_KERNEL.fullmatch(name)), None)
    if hf_kernel is not None:
        return ('videomae' if hf_kernel.ndim == 5 else 'image_mae'), HUGGINGFACE_NAMES
    if any(_HF_VJEPA_KERNEL.fullmatch(name) for name in state):
        return 'vjepa', VJEPA_OF_HUGGINGFACE_NAMES
    if key in VJEPA_KEYS:
        return 'vjepa', VJEPA_NAMES
    if 'backbone.patch_embed.proj.weight' in state:
        return 'mmmae_st', ()
    source = _source_of_plain_names(state)
    if source is None:
        parts = sorted({name.split('.')[0] for name in state})
        raise ValueError(
            'its parameters are not those of a plain vision transformer by mmmae_st, mae_st, '
            f'PySlowFast, VideoMAE, V-JEPA or image MAE; their names begin with {parts[:12]}'
        )
    return source, TABLES.get(source, ())


def _source_of_plain_names(state: Mapping[str, Tensor]) -> str | None:
    if any(_VIDEOMAE_ONLY.fullmatch(name) for name in state):
        return 'videomae'
    kernel = state.get('patch_embed.proj.weight')
    if kernel is None:
        return None
    if kernel.ndim == 4:
        return 'image_mae'
    if any(name.startswith('pos_embed.') for name in state):
        return 'mmmae_st'
    if any(name.startswith(('pred_head.', 'head.projection.')) for name in state):
        return 'pyslowfast'
    if any(name.endswith('.attn.q.weight') for name in state):
        return 'mae_st'
    if any(name.startswith('pos_embed') for name in state):
        return 'pyslowfast'
    has_bias = any(name.endswith('.attn.qkv.bias') for name in state)
    return 'mmmae_st' if has_bias else 'videomae'


def translate(name: str, table: tuple[tuple[str, str], ...]) -> str:
    """A foreign name as mae_st's."""
    for pattern, replacement in table:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, replacement, name)
    return name


def to_our_name(name: str) -> str | None:
    """A name of mae_st as ours, None if it has none."""
    return _mapped(name, MAE_ST_NAMES)


def to_mae_st_name(name: str) -> str | None:
    """A name of ours as mae_st's, None if it has none."""
    return _mapped(name, {ours: theirs for theirs, ours in MAE_ST_NAMES.items()})


def _mapped(name: str, table: Mapping[str, str]) -> str | None:
    if name in table:
        return table[name]
    for begin, replacement in table.items():
        if begin.endswith('.') and name.startswith(begin):
            return replacement + name.removeprefix(begin)
    return None


def some(found: Iterable[object], limit: int = 8) -> str:
    """The first of some names as text, with the number of the others."""
    listed = [str(name) for name in found]
    more = f' and {len(listed) - limit} more' if len(listed) > limit else ''
    return ', '.join(listed[:limit]) + more if listed else 'nothing'
