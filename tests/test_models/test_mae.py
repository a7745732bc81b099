import copy
from contextlib import nullcontext

import pytest
import torch
from mmengine.structures import BaseDataElement
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmmae_st.registry import MODELS

SIZE = dict(img_size=32, num_frames=4, patch_size=8)
CONFIG = dict(
    type='SpatiotemporalMAE',
    backbone=dict(type='SpacetimeViT', arch=dict(embed_dims=24, depth=2, num_heads=2), **SIZE),
    decoder=dict(type='MAEDecoder', encoder_dims=24, embed_dims=16, depth=2, num_heads=2, **SIZE),
    head=dict(type='MAEHead', embed_dims=16, patch_size=8),
)
IDS_KEEP = torch.tensor([[0, 3, 9, 31], [1, 2, 17, 20]])


def build(backbone=(), decoder=(), head=()):
    cfg = copy.deepcopy(CONFIG)
    for name, change in (('backbone', backbone), ('decoder', decoder), ('head', head)):
        cfg[name].update(dict(change))
    torch.manual_seed(0)
    return MODELS.build(cfg)


def clips():
    return torch.randn(2, 3, 4, 32, 32, generator=torch.Generator().manual_seed(1))


DENSE = (dict(with_mask_token=True), dict(with_mask_token=False))
VARIANTS = {
    'default': (),
    'dense': DENSE,
    'joint': (dict(pos_embed='joint'), dict(pos_embed='joint')),
    'sincos': (dict(pos_embed='sincos'), dict(pos_embed='sincos')),
    'no class token': (
        dict(with_cls_token=False),
        dict(encoder_cls_token=False, cls_token='none'),
    ),
    "encoder's class token": ((), dict(cls_token='encoder')),
    'hog': ((), (), dict(target='hog')),
    'tubelet': ((), (), dict(frames='all')),
    'checkpointed': (dict(with_cp=True), dict(with_cp=True)),
}


@pytest.mark.parametrize(
    ('arch', 'width', 'decoder', 'total'),
    [
        ('base', 768, 13_504_256, 99_898_880),
        ('large', 1024, 13_635_328, 317_731_584),
        ('huge', 1280, 13_766_400, 645_678_080),
    ],
)
def test_parameter_counts_are_the_official_ones(arch, width, decoder, total):
    with torch.device('meta'):
        model = MODELS.build(
            dict(
                type='SpatiotemporalMAE',
                backbone=dict(type='SpacetimeViT', arch=arch),
                decoder=dict(type='MAEDecoder', encoder_dims=width),
                head=dict(type='MAEHead'),
            )
        )
    parts = [*model.decoder.parameters(), *model.head.parameters()]
    assert sum(p.numel() for p in parts) == decoder
    assert sum(p.numel() for p in model.parameters()) == total


@pytest.mark.parametrize('variant', VARIANTS)
def test_every_parameter_gets_a_gradient(variant):
    model = build(*VARIANTS[variant])
    loss = model(clips(), IDS_KEEP, mode='loss')['loss']
    loss.backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


class NothingFromTheHost(TorchDispatchMode):
    """Fails where a tensor of the host takes part, or a value is asked of the device.

    On a GPU either one makes the host wait.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        assert all(x.is_meta for x in tensors), f'{func} takes a tensor of the host'
        return func(*args, **(kwargs or {}))  # asking a meta tensor for a value fails by itself


@pytest.mark.parametrize('variant', VARIANTS)
def test_a_step_never_waits_for_the_device(variant, monkeypatch):
    monkeypatch.setattr(torch, 'autocast', lambda *args, **kwargs: nullcontext())  # meta has none
    model = build(*VARIANTS[variant]).to('meta')
    x, ids = clips().to('meta'), IDS_KEEP.to('meta')
    with NothingFromTheHost():
        model(x, ids, mode='loss')['loss'].backward()


@pytest.mark.parametrize('variant', ['default', 'dense', 'checkpointed', 'hog'])
def test_loss_compiles_as_one_graph_for_all_batches(variant):
    model = build(*VARIANTS[variant])
    torch.compiler.reset()
    compiled = torch.compile(model.forward, fullgraph=True, backend='aot_eager')
    for batch in range(2):
        meta = dict(grid=(2, 4, 4), path=f'{batch}.mp4', index=batch, failures=['x'] * batch)
        inputs = dict(
            inputs=clips() + batch,
            ids_keep=IDS_KEEP.flip(0) if batch else IDS_KEEP,
            data_samples=[BaseDataElement(metainfo=meta)] * 2,
            mode='loss',
        )
        loss = model(**inputs)['loss']
        wanted = torch.autograd.grad(loss, list(model.parameters()))
        with torch._dynamo.config.patch(error_on_recompile=batch > 0):
            again = compiled(**inputs)['loss']
        torch.testing.assert_close(again, loss)
        found = torch.autograd.grad(again, list(model.parameters()))
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize('variant', VARIANTS)
def test_loss_is_the_mean_of_the_predicted_losses(variant):
    model = build(*VARIANTS[variant]).eval()
    loss = model(clips(), IDS_KEEP, mode='loss')['loss']
    results = model(clips(), IDS_KEEP, mode='predict')
    torch.testing.assert_close(loss, torch.stack([r.loss for r in results]).mean())


def test_sequence_order_equals_the_unshuffled_decoder():
    """The decoder on [kept, removed] equals one on tokens put back in their places."""
    model = build().eval()
    x, keep = clips(), IDS_KEEP
    latent = model.backbone(x, keep)
    decoder = model.decoder
    full = decoder.mask_token.expand(2, 32, -1).clone()
    embedded = decoder.embed(latent[:, 1:])
    for clip in range(2):
        full[clip, keep[clip]] = embedded[clip]
    full = full + decoder.pos_embed((2, 4, 4))
    cls = (decoder.cls_token + decoder.pos_embed.cls).expand(2, -1, -1)
    tokens = torch.cat([cls, full], dim=1)
    for block in decoder.blocks:
        tokens = block(tokens)
    pred = model.head(decoder.norm(tokens)[:, 1:])
    target = model.head.make_target(x, None)
    mask = torch.ones(2, 32).scatter(1, keep, 0.0)
    expected = ((pred - target).square().mean(-1) * mask).sum() / mask.sum()
    torch.testing.assert_close(model(x, keep, mode='loss')['loss'], expected)


def test_dense_encoder_sees_every_position():
    model = build(*DENSE).eval()
    seen = []
    model.backbone.blocks[0].register_forward_hook(lambda m, i, o: seen.append(o.shape[1]))
    model(clips(), IDS_KEEP, mode='loss')
    assert seen == [1 + 32]


def test_visible_pixels_are_pasted_and_the_others_predicted():
    model = build().eval()
    with torch.no_grad():
        result = model(clips(), IDS_KEEP, mode='predict')[0]
    assert result.input.shape == result.prediction.shape == (3, 2, 32, 32)
    assert result.mask.sum() == 28 and not result.mask[0, 0, 0]
    pixels = result.mask.repeat_interleave(8, 1).repeat_interleave(8, 2).expand(3, -1, -1, -1)
    assert torch.equal(result.prediction[~pixels], result.input[~pixels])
    assert torch.equal(result.prediction[pixels], result.decoded[pixels])
    assert not torch.equal(result.prediction[pixels], result.input[pixels])
    grey = torch.tensor(0.45)
    torch.testing.assert_close(result.masked[pixels], grey.expand(int(pixels.sum())))


def test_predicting_a_part_of_the_removed_patches_takes_the_loss_there():
    model = build().eval()
    ids = torch.tensor([[5, 6, 7], [0, 30, 31]])
    loss = model(clips(), IDS_KEEP, ids_predict=ids, mode='loss')['loss']
    latent = model.backbone(clips(), IDS_KEEP)
    features = model.decoder(latent, IDS_KEEP, ids, grid=(2, 4, 4), num_outputs=3)
    torch.testing.assert_close(loss, model.head.loss(model.head(features), clips(), ids).mean())


def test_tensor_mode_returns_the_encoding():
    model = build().eval()
    assert torch.equal(model(clips()), model.backbone(clips()))


def test_loss_falls_on_one_batch():
    model = build()
    smooth = torch.nn.functional.interpolate(clips()[:, :, :2, :4, :4], size=(4, 32, 32))
    smooth = smooth.cumsum(3).cumsum(4)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss = model(smooth, IDS_KEEP, mode='loss')['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_bfloat16_stays_close_to_float32():
    model = build()
    full = model(clips(), IDS_KEEP, mode='loss')['loss']
    with torch.autocast('cpu', dtype=torch.bfloat16):
        half = model(clips(), IDS_KEEP, mode='loss')['loss']
    assert half.dtype is torch.float32
    torch.testing.assert_close(half, full, rtol=1e-2, atol=0)


def test_other_clip_sizes_than_built_for():
    model = build()
    loss = model(torch.randn(1, 3, 8, 16, 48), torch.tensor([[0, 7, 40]]), mode='loss')['loss']
    assert torch.isfinite(loss)


def test_mask_of_another_grid_is_named():
    sample = BaseDataElement(metainfo=dict(grid=(2, 2, 2)))
    with pytest.raises(ValueError, match=r'\(2, 2, 2\).*\(2, 4, 4\)'):
        build()(clips(), IDS_KEEP, data_samples=[sample, sample], mode='loss')


def test_missing_mask_and_unknown_mode_are_named():
    with pytest.raises(ValueError, match='RandomMasking'):
        build()(clips(), mode='loss')
    with pytest.raises(ValueError, match="'train'"):
        build()(clips(), IDS_KEEP, mode='train')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(decoder=dict(encoder_dims=32)), 'encoder_dims=32'),
        (dict(head=dict(embed_dims=8)), 'embed_dims=8'),
        (dict(head=dict(patch_size=16)), 'patch_size=16'),
        (dict(backbone=dict(with_cls_token=False)), 'encoder_cls_token=True'),
        (dict(backbone=dict(with_mask_token=True)), 'with_mask_token'),
        (dict(backbone=dict(out_type='pooled')), "'pooled'"),
        (dict(decoder=dict(cls_token='mean')), "'mean'"),
        (dict(decoder=dict(depth=0)), 'depth'),
    ],
)
def test_parts_that_do_not_fit_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        build(**change)


@pytest.mark.parametrize('variant', ['default', 'dense', 'hog', 'tubelet', 'checkpointed'])
def test_the_loss_is_one_graph_for_the_compiler(variant):
    torch._dynamo.reset()
    model = build(*VARIANTS[variant])
    compiled = torch.compile(model, fullgraph=True, backend='eager')
    ours = compiled(clips(), IDS_KEEP, mode='loss')['loss']
    torch.testing.assert_close(ours, model(clips(), IDS_KEEP, mode='loss')['loss'])
