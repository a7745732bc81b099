"""Counts against the published figures, and against counting by hand."""

import json

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from support.tiny_checkpoint import tiny_config
from torch import nn

from mmmae_st.analysis.activations import saved_activations
from mmmae_st.analysis.config_cost import config_cost, format_cost, views_of_test
from mmmae_st.analysis.cost import build_on_meta, recognition_cost
from mmmae_st.analysis.operations import count_multiply_adds
from mmmae_st.analysis.pretraining_cost import pretraining_cost
from mmmae_st.models import SpacetimeViT

CONFIGS = 'configs'


@pytest.fixture(scope='module')
def vitl():
    return config_cost(Config.fromfile(f'{CONFIGS}/mae_st_vitl_k400.py'))


class Recognizer(nn.Module):
    """What a recogniser of mmaction2 consists of."""

    def __init__(self, arch, num_classes=400):
        super().__init__()
        self.backbone = SpacetimeViT(arch, out_type='pooled')
        self.cls_head = nn.Linear(self.backbone.embed_dims, num_classes)


@pytest.mark.parametrize(
    ('arch', 'published', 'calculated', 'parameters'),
    [
        ('base', 180, 180.5, 86_702_224),
        ('large', 598, 597.3, 304_506_256),
        ('huge', 1193, 1191.9, 632_424_080),
    ],
)
def test_fine_tuning_costs_what_is_published(arch, published, calculated, parameters):
    with torch.device('meta'):
        model = Recognizer(arch)
    cost = recognition_cost(model, views=21)
    giga = cost.total.multiply_adds / 1e9
    assert giga == pytest.approx(published, rel=0.005)
    assert giga == pytest.approx(calculated, abs=0.05)
    assert cost.total.parameters == parameters
    assert cost.by_name['backbone.blocks.0.mlp'].tokens == 1569
    assert f'{21 * giga / 1e3:.3f} T' in format_cost(cost)


def test_pretraining_counted_as_published(vitl):
    assert vitl.published['dense'] / 1e9 == pytest.approx(627.9, abs=0.05)
    assert vitl.published['sparse'] / 1e9 == pytest.approx(81.0, abs=0.05)
    assert vitl.published['ratio'] == pytest.approx(7.75, abs=0.005)
    assert vitl.total.parameters == 317_731_584


def test_pretraining_as_executed_by_hand(vitl):
    kept, removed, width = 156, 1412, 1024
    tokens, wide = kept + 1, 512

    def block(queries, keys, d):
        return (2 * queries + 2 * keys + 8 * queries) * d * d + 2 * queries * keys * d

    encoder = kept * 1536 * width + 24 * block(tokens, tokens, width)
    decoder = kept * width * wide + 3 * block(1569, 1569, wide) + block(removed, 1569, wide)
    assert vitl.by_name['backbone'].multiply_adds == encoder
    assert vitl.by_name['decoder'].multiply_adds == decoder
    assert vitl.by_name['head'].multiply_adds == removed * wide * 768
    assert vitl.executed['sparse'] == vitl.total.multiply_adds
    assert vitl.executed['sparse'] < vitl.published['sparse']


@pytest.mark.parametrize(
    ('size', 'encoder', 'decoder', 'total'),
    [
        ('b', 86_394_624, 13_504_256, 99_898_880),
        ('l', 304_096_256, 13_635_328, 317_731_584),
        ('h', 631_911_680, 13_766_400, 645_678_080),
    ],
)
def test_parameters_of_pretraining(size, encoder, decoder, total):
    model = build_on_meta(Config.fromfile(f'{CONFIGS}/mae_st_vit{size}_k400.py'))
    rows = {
        name: sum(weight.numel() for weight in part.parameters())
        for name, part in model.named_children()
    }
    assert rows['backbone'] == encoder
    assert rows['decoder'] + rows['head'] == decoder
    assert encoder + decoder == total


def test_dense_config_gives_the_same_comparison():
    sparse, dense = tiny_config(), tiny_config()
    dense.model.backbone.with_mask_token = True
    dense.model.decoder.with_mask_token = False
    first, second = pretraining_cost(sparse), pretraining_cost(dense)
    assert first.published == second.published
    assert first.executed == second.executed
    assert first.total.multiply_adds == first.executed['sparse']
    assert second.total.multiply_adds == second.executed['dense']
    assert 'with_mask_token' not in sparse.model.backbone  # the config is left as it was


def test_decoder_masking_halves_the_predictions_and_leaves_the_published_count(vitl):
    cost = config_cost(Config.fromfile(f'{CONFIGS}/ablation/decoder_masking_50.py'))
    assert cost.by_name['decoder'].tokens == cost.by_name['head'].tokens == 706
    assert cost.executed['sparse'] < 0.85 * vitl.executed['sparse']
    assert cost.published == vitl.published


def test_clip_and_ratio_can_be_chosen():
    cost = config_cost(tiny_config(), clip=(16, 32, 64), ratio=0.5)
    assert cost.grid == (8, 4, 8)
    assert cost.mask_ratio == 0.5
    assert cost.by_name['backbone.norm'].tokens == 129
    assert 'one view of 16 frames of 32 x 64 pixels: 8 x 4 x 8 = 256 patches' in format_cost(cost)
    cfg = tiny_config()
    cfg.train_dataloader.dataset.pipeline[0].clip_len = 16
    cfg.train_dataloader.dataset.pipeline[1].size = 48
    assert config_cost(cfg).grid == (8, 6, 6)
    with pytest.raises(ValueError, match='config has no model'):
        config_cost(Config(dict(backbone=dict(type='SpacetimeViT'))))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(ratio=1.0), r'ratio must be in \(0, 1\)'),
        (dict(clip=(8, 33, 32)), 'multiples of patch_size'),
        (dict(views=3), 'concerns recognition'),
    ],
)
def test_bad_arguments_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        config_cost(tiny_config(), **change)


def test_config_without_mask_or_known_model_is_refused():
    cfg = tiny_config()
    cfg.train_dataloader.dataset.pipeline = []
    with pytest.raises(ValueError, match='holds no masking transform'):
        config_cost(cfg)
    with pytest.raises(ValueError, match='neither decoder and head'):
        config_cost(Config(dict(model=dict(type='SpacetimeViT'))))


def test_views_of_a_test_pipeline():
    pipeline = [dict(type='LoadClips', num_clips=7), dict(type='ClipThreeCrop', size=224)]
    assert views_of_test(Config(dict(test_dataloader=dict(dataset=dict(pipeline=pipeline))))) == 21
    assert views_of_test(Config(dict())) == 1


class PlainAttention(nn.Module):
    def forward(self, q, k, v):
        return (q @ k.transpose(-1, -2)).softmax(-1) @ v


class FusedAttention(nn.Module):
    def forward(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v)


def test_rule_for_fused_attention_equals_plain_products():
    q, k, v = (torch.empty(2, 3, n, d, device='meta') for n, d in ((5, 8), (7, 8), (7, 4)))
    plain = count_multiply_adds(PlainAttention(), (q, k, v))['']
    assert plain == 2 * 3 * 5 * 7 * (8 + 4)
    assert count_multiply_adds(FusedAttention(), (q, k, v))[''] == plain


def test_activations_of_a_linear_layer_by_hand():
    module = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 4))
    found = saved_activations(module, (torch.empty(1, 10, 8),))
    # Saved: the input of each linear layer and of the activation, 10 x (8 + 16 + 16) floats.
    assert found.per_clip[''] == 10 * (8 + 16 + 16) * 4
    assert found.per_clip['2'] == 10 * 16 * 4
    assert found.tokens == {'': 10, '0': 10, '1': 10, '2': 10}
    half = saved_activations(module, (torch.empty(1, 10, 8),), bfloat16=True)
    assert half.per_clip[''] < found.per_clip['']
    assert half.fixed[''] > 0  # bfloat16 copies of the weights


def test_activations_equal_those_of_a_real_step():
    model = SpacetimeViT(dict(embed_dims=32, depth=2, num_heads=2), 32, 8, 8)
    kept = {}

    def save(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor  # holding it keeps the address unique
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        model(torch.zeros(1, 3, 8, 32, 32))
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    real = sum(x.untyped_storage().nbytes() for key, x in kept.items() if key not in weights)
    found = saved_activations(model, (torch.empty(1, 3, 8, 32, 32),))
    assert found.per_clip[''] + found.fixed[''] == real


def test_recomputation_saves_activations():
    plain, recomputed = tiny_config(), tiny_config()
    recomputed.model.backbone.with_cp = True
    few = config_cost(recomputed).by_name['backbone'].activation_bytes
    assert 0 < few < 0.5 * config_cost(plain).by_name['backbone'].activation_bytes


def test_autocast_is_told_from_the_optimiser_wrapper():
    cfg = tiny_config()
    cfg.optim_wrapper = dict(type='mmmae_st.BFloat16OptimWrapper')
    assert config_cost(cfg).activation_dtype == 'bfloat16'
    assert config_cost(tiny_config()).activation_dtype == 'float32'


def test_dict_goes_through_json(vitl):
    again = json.loads(json.dumps(vitl.to_dict()))
    assert again['published']['dense'] == vitl.published['dense']
    assert again['modules'][0]['parameters'] == 317_731_584
    assert 'views' not in again
