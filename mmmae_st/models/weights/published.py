"""What others have published and ``load_pretrained`` reads: where, and under which licence."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """Weights of one kind.

    Attributes:
        name: What their authors call them.
        source: Whose names they have, see ``names``.
        sizes: Sizes of the encoders.
        where: Repository that hosts or links them, or package.
        licence: Of the weights, as stated there.
        arguments: Of ``SpacetimeViT``, besides ``arch`` and the defaults.
    """

    name: str
    source: str
    sizes: str
    where: str
    licence: str
    arguments: str = ''


_VIDEOMAE = "pos_embed='joint', with_cls_token=False"
_VJEPA2 = "pos_embed='rope', with_cls_token=False"
PUBLISHED = (
    Published('mae_st', 'mae_st', 'L H', 'github.com/facebookresearch/mae_st', 'CC-BY-NC-4.0'),
    Published(
        'PySlowFast, ViT (MAE)',
        'pyslowfast',
        'B L H',
        'github.com/facebookresearch/SlowFast',
        'Apache-2.0',
    ),
    Published(
        'VideoMAE', 'videomae', 'S B L H', 'github.com/MCG-NJU/VideoMAE', 'CC-BY-NC-4.0', _VIDEOMAE
    ),
    Published(
        'VideoMAE of transformers',
        'videomae',
        'S B L H',
        'huggingface.co/MCG-NJU',
        'CC-BY-NC-4.0',
        f'{_VIDEOMAE}, norm_eps=1e-12',
    ),
    Published(
        'VideoMAE V2: pretrained, fine-tuned, distilled',
        'videomae',
        'S B H g',
        'huggingface.co/OpenGVLab/VideoMAE2',
        'Apache-2.0',
        f"{_VIDEOMAE}; g: arch='giant', patch_size=14, mlp_ratio=48/11",
    ),
    Published(
        'VideoMAE V2 on the Hub',
        'videomae',
        'B L H g',
        'huggingface.co/OpenGVLab/VideoMAEv2-Base',
        'CC-BY-NC-4.0',
        'as above',
    ),
    Published(
        'V-JEPA 2',
        'vjepa',
        'L H g',
        'github.com/facebookresearch/vjepa2',
        'MIT',
        f"{_VJEPA2}; g: arch='giant_xformers', mlp_ratio=48/11",
    ),
    Published(
        'V-JEPA 2 of transformers',
        'vjepa',
        'L H g',
        'huggingface.co/facebook/vjepa2-vitl-fpc64-256',
        'MIT; Apache-2.0 for H and g',
        'as above',
    ),
    Published(
        'V-JEPA', 'vjepa', 'L H', 'github.com/facebookresearch/jepa', 'CC-BY-NC-4.0', _VIDEOMAE
    ),
    Published('image MAE', 'image_mae', 'B L H', 'github.com/facebookresearch/mae', 'CC-BY-NC-4.0'),
    Published(
        'ViT of timm', 'image_mae', 'Ti S B L H', 'huggingface.co/timm', 'stated for each file'
    ),
    Published(
        'ViT and ViTMAE of transformers',
        'image_mae',
        'Ti S B L H',
        'huggingface.co/facebook/vit-mae-base',
        'stated for each file',
        'norm_eps=1e-12',
    ),
)
COLUMNS = ('weights', 'sizes', 'where', 'licence', 'arguments of the backbone')


def table_of_published() -> str:
    """The table as Markdown, one line for each kind of weights."""
    rows = [COLUMNS, ('---',) * len(COLUMNS)]
    for one in PUBLISHED:
        arguments = f'`{one.arguments}`' if '=' in one.arguments else one.arguments
        rows.append((one.name, one.sizes, one.where, one.licence, arguments))
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows)
