"""Files of Hugging Face's transformers: the real modules with random weights, equal outputs."""

import pytest
import torch
from references.layers import randomise
from torch import nn

from mmmae_st.models import SpacetimeViT
from mmmae_st.models.weights import (
    Checkpoint,
    fit,
    load_pretrained,
    read_checkpoint,
    to_ours,
)

transformers = pytest.importorskip('transformers')

ARCH = dict(embed_dims=32, depth=2, num_heads=4)
SIZES = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128, patch_size=16
)
DECODER = dict(
    decoder_hidden_size=16,
    decoder_num_hidden_layers=1,
    decoder_num_attention_heads=2,
    decoder_intermediate_size=32,
)


def save(model, folder, how):
    """As ``save_pretrained`` writes it, or as ``torch.save``: names differ in transformers 5."""
    model = randomise(model).eval()
    if how == 'save_pretrained':
        model.save_pretrained(folder)
        return folder / 'model.safetensors'
    torch.save(model.state_dict(), folder / 'a.pth')
    return folder / 'a.pth'


def assert_equal_outputs(found, wanted):
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() / wanted.abs().max() < 1e-5


def clips(frames, size):
    return torch.randn(2, 3, frames, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize('how', ['save_pretrained', 'torch.save'])
@pytest.mark.parametrize('kind', ['ViTModel', 'ViTForImageClassification', 'ViTMAEForPreTraining'])
@torch.no_grad()
def test_image_models(tmp_path, kind, how):
    more = dict(DECODER, mask_ratio=0.0) if 'MAE' in kind else {}
    config = getattr(transformers, 'ViTMAEConfig' if more else 'ViTConfig')
    model = getattr(transformers, kind)(config(image_size=64, **SIZES, **more))
    path = save(model, tmp_path, how)
    arguments = dict(arch=ARCH, img_size=64, norm_eps=1e-12)
    ours = SpacetimeViT(**arguments).eval()
    load_pretrained(ours, path)
    images = clips(1, 64)
    encoder = model if kind == 'ViTModel' else model.vit
    noise = dict(noise=torch.arange(16.0).repeat(2, 1)) if more else {}
    wanted = encoder(images[:, :, 0], **noise).last_hidden_state
    assert_equal_outputs(ours(images.repeat(1, 1, 2, 1, 1)), wanted)


@pytest.mark.parametrize('how', ['save_pretrained', 'torch.save'])
@pytest.mark.parametrize(
    ('kind', 'options'),
    [
        ('VideoMAEModel', dict(use_mean_pooling=False)),
        ('VideoMAEModel', dict(use_mean_pooling=True)),
        ('VideoMAEModel', dict(use_mean_pooling=False, qkv_bias=False)),
        ('VideoMAEForPreTraining', dict(use_mean_pooling=True, **DECODER)),
        ('VideoMAEForPreTraining', dict(use_mean_pooling=False, **DECODER)),
        ('VideoMAEModel', dict(use_mean_pooling=False, num_frames=32)),
    ],
)
@torch.no_grad()
def test_videomae(tmp_path, kind, options, how):
    model = getattr(transformers, kind)(transformers.VideoMAEConfig(**SIZES, **options))
    path = save(model, tmp_path, how)
    frames = options.get('num_frames', 16)
    ours = SpacetimeViT(
        ARCH,
        num_frames=frames,
        pos_embed='joint',
        with_cls_token=False,
        norm_eps=1e-12,
        out_type='raw' if options['use_mean_pooling'] else 'tokens',
    ).eval()
    load_pretrained(ours, path)
    video = clips(frames, 224)
    encoder = getattr(model, 'videomae', model)
    wanted = encoder(video.transpose(1, 2)).last_hidden_state
    assert_equal_outputs(ours(video), wanted)


@pytest.mark.parametrize('how', ['save_pretrained', 'torch.save'])
@pytest.mark.parametrize('mean', [True, False])
@torch.no_grad()
def test_classifiers_of_videomae(tmp_path, mean, how):
    config = transformers.VideoMAEConfig(**SIZES, use_mean_pooling=mean, num_labels=5)
    model = transformers.VideoMAEForVideoClassification(config)
    weights = to_ours(read_checkpoint(save(model, tmp_path, how)))
    backbone = dict(weights.config['backbone'], arch=ARCH)
    assert backbone['out_type'] == ('pooled' if mean else 'first')
    ours, head = SpacetimeViT(**backbone).eval(), nn.Linear(32, 5)
    ours.load_state_dict(
        {k.removeprefix('backbone.'): v for k, v in weights.state.items() if 'cls_head' not in k}
    )
    head.load_state_dict({k: weights.state[f'cls_head.fc_cls.{k}'] for k in ('weight', 'bias')})
    video = clips(16, 224)
    assert_equal_outputs(head(ours(video)), model(video.transpose(1, 2)).logits)


VJEPA2 = dict(
    hidden_size=96,
    num_hidden_layers=2,
    num_attention_heads=3,
    crop_size=64,
    frames_per_clip=8,
    pred_hidden_size=24,
    pred_num_attention_heads=2,
    pred_num_hidden_layers=1,
    num_pooler_layers=1,
)
VJEPA2_GIANT = dict(VJEPA2, hidden_size=88, num_attention_heads=4, mlp_ratio=48 / 11)


@pytest.mark.parametrize('how', ['save_pretrained', 'torch.save'])
@pytest.mark.parametrize('kind', ['VJEPA2Model', 'VJEPA2ForVideoClassification'])
@pytest.mark.parametrize('sizes', [VJEPA2, VJEPA2_GIANT, dict(VJEPA2, crop_size=96)])
@torch.no_grad()
def test_vjepa2(tmp_path, sizes, kind, how):
    config = transformers.VJEPA2Config(**sizes)
    model = getattr(transformers, kind)(config)
    path = save(model, tmp_path, how)
    ours = SpacetimeViT(
        dict(embed_dims=config.hidden_size, depth=2, num_heads=config.num_attention_heads),
        pos_embed='rope',
        with_cls_token=False,
        mlp_ratio=config.mlp_ratio,
    ).eval()
    load_pretrained(ours, path)
    encoder = getattr(model, 'vjepa2', model).encoder
    for frames in (8, 12):
        video = clips(frames, config.crop_size)
        assert_equal_outputs(ours(video), encoder(video.transpose(1, 2)).last_hidden_state)
    ids = torch.stack([torch.randperm(64)[:23].sort().values for _ in range(2)])
    kept = encoder.embeddings(video.transpose(1, 2))[torch.arange(2)[:, None], ids]
    for layer in encoder.layer:
        kept = layer(kept, ids)[0]
    assert_equal_outputs(ours(video, ids), encoder.layernorm(kept))


@pytest.mark.parametrize(
    ('arch', 'sizes'),
    [
        ('large', {}),
        ('huge', dict(hidden_size=1280, num_hidden_layers=32)),
        ('giant_xformers', dict(hidden_size=1408, num_hidden_layers=40, mlp_ratio=48 / 11)),
    ],
)
def test_sizes_of_vjepa2_are_known_by_name(arch, sizes):
    with torch.device('meta'):
        model = transformers.VJEPA2Model(transformers.VJEPA2Config(num_pooler_layers=1, **sizes))
        weights = to_ours(Checkpoint(model.state_dict()))
        ours = SpacetimeViT(**weights.config['backbone'])
    assert weights.config['backbone']['arch'] == arch
    assert fit(ours, weights)[1].is_complete()
