import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from torch import nn

from mmmae_st.models import SpacetimeViT

# FACTS of the method: arch, rate, scale of the embeddings, scale of block 0
SCALES = [
    ('base', 0.65, 3.69721e-3, 5.68801e-3),
    ('large', 0.75, 7.52543e-4, 1.00339e-3),
    ('huge', 0.8, 6.33825e-4, 7.92282e-4),
]
TINY = dict(embed_dims=16, depth=2, num_heads=2)


class Classifier(nn.Module):
    def __init__(self, arch, pos_embed='separable'):
        super().__init__()
        self.backbone = SpacetimeViT(arch, out_type='pooled', pos_embed=pos_embed)
        self.cls_head = nn.Linear(self.backbone.embed_dims, 400)


def optimizer_of(model, lr=1e-3, weight_decay=0.05, **paramwise):
    cfg = ConfigDict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=lr, weight_decay=weight_decay),
        constructor='mmmae_st.LayerDecayOptimWrapperConstructor',
        paramwise_cfg=paramwise,
    )
    return build_optim_wrapper(model, cfg).optimizer


def settings_by_name(model, optimizer):
    groups = {id(p): group for group in optimizer.param_groups for p in group['params']}
    return {name: groups[id(param)] for name, param in model.named_parameters()}


@pytest.mark.parametrize(('arch', 'rate', 'embeddings', 'first'), SCALES)
def test_published_scales(arch, rate, embeddings, first):
    with torch.device('meta'):
        model = Classifier(arch)
    found = settings_by_name(model, optimizer_of(model, layer_decay_rate=rate))
    for name, group in found.items():
        part = name.removeprefix('backbone.').split('.')[0]
        if part in ('patch_embed', 'pos_embed', 'cls_token'):
            expected = embeddings
        elif name.startswith('backbone.blocks.0.'):
            expected = first
        elif part in ('norm', 'cls_head'):
            expected = 1.0
        else:
            expected = rate ** (len(model.backbone.blocks) - int(name.split('.')[2]))
        assert group['lr_scale'] == pytest.approx(expected, rel=2e-6), name
        assert group['lr'] == pytest.approx(1e-3 * expected, rel=2e-6), name
    assert len(found) == len(list(model.parameters()))


def test_vectors_are_not_decayed():
    model = Classifier(TINY)
    for name, group in settings_by_name(model, optimizer_of(model, layer_decay_rate=0.5)).items():
        is_vector = name.endswith('.bias') or 'norm' in name
        assert group['weight_decay'] == (0.0 if is_vector else 0.05), name


@pytest.mark.parametrize('pos_embed', ['separable', 'joint'])
def test_every_position_embedding_is_layer_0(pos_embed):
    model = Classifier(TINY, pos_embed)
    found = settings_by_name(model, optimizer_of(model, layer_decay_rate=0.5))
    names = [name for name in found if 'pos_embed' in name]
    assert len(names) == (3 if pos_embed == 'separable' else 2)
    assert {found[name]['lr_scale'] for name in names} == {0.125}


def test_layers_by_name():
    encoder = SpacetimeViT(TINY)
    names = ['mask_token', 'blocks.1.attn.qkv.weight', 'norm.weight']
    assert [encoder.get_layer_depth(name) for name in names] == [(0, 4), (2, 4), (3, 4)]
    names = [f'backbone.{name}' for name in names]
    assert [encoder.get_layer_depth(name, 'backbone.')[0] for name in names] == [0, 2, 3]
    head = 'roi_head.bbox_head.blocks.0.weight'
    assert encoder.get_layer_depth(head, 'backbone.') == (3, 4)


def test_frozen_parameters_are_left_out():
    model = Classifier(TINY)
    model.backbone.requires_grad_(False)
    groups = optimizer_of(model, layer_decay_rate=0.5).param_groups
    assert {group['lr_scale'] for group in groups} == {1.0}


def test_bad_arguments_are_named():
    model = Classifier(TINY)
    with pytest.raises(ValueError, match='layer_decay_rate'):
        optimizer_of(model, decay_rate=0.5)
    with pytest.raises(ValueError, match=r'layer_decay_rate must be in \(0, 1\], got 1.5'):
        optimizer_of(model, layer_decay_rate=1.5)
    with pytest.raises(ValueError, match="'lr'"):
        optimizer_of(model, lr=None, layer_decay_rate=0.5)
    with pytest.raises(ValueError, match='get_layer_depth.* got Linear'):
        optimizer_of(nn.Linear(2, 2), layer_decay_rate=0.5)
