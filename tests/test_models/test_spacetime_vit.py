import pytest
import torch

from mmmae_st.models import SpacetimeViT

ARCH = dict(embed_dims=24, depth=2, num_heads=2)
SIZE = dict(img_size=32, num_frames=4, patch_size=8)


def build(**kwargs):
    return SpacetimeViT(**{**dict(arch=ARCH), **SIZE, **kwargs}).eval()


@pytest.mark.parametrize(
    ('arch', 'parameters'),
    [('base', 86_394_624), ('large', 304_096_256), ('huge', 631_911_680)],
)
def test_parameter_counts_are_the_official_ones(arch, parameters):
    with torch.device('meta'):
        model = SpacetimeViT(arch=arch)
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize('with_cls_token', [True, False])
def test_every_output_type(with_cls_token):
    x = torch.randn(2, 3, 4, 32, 32)
    cls = int(with_cls_token)
    shapes = dict(
        tokens=(2, 32 + cls, 24), raw=(2, 32 + cls, 24), pooled=(2, 24), featmap=(2, 24, 2, 4, 4)
    )
    for out_type, shape in shapes.items():
        assert build(out_type=out_type, with_cls_token=with_cls_token)(x).shape == shape


def test_outputs_agree_with_one_another():
    raw = build(out_type='raw')
    models = {name: build(out_type=name) for name in ('tokens', 'pooled', 'featmap')}
    for model in models.values():
        missing, unexpected = model.load_state_dict(raw.state_dict(), strict=False)
        assert missing == ['norm.weight', 'norm.bias'] and not unexpected
    x = torch.randn(2, 3, 4, 32, 32)
    tokens, norm = raw(x), models['tokens'].norm
    torch.testing.assert_close(models['tokens'](x), norm(tokens))
    torch.testing.assert_close(models['pooled'](x), norm(tokens[:, 1:].mean(1)))
    featmap = models['featmap'](x)
    torch.testing.assert_close(featmap[:, :, 1, 2, 3], norm(tokens[:, 1 + 16 + 2 * 4 + 3]))


@pytest.mark.parametrize('pos_embed', ['separable', 'joint', 'sincos', 'rope'])
@pytest.mark.parametrize('shape', [(2, 16, 48), (8, 32, 32), (6, 24, 56)])
@pytest.mark.parametrize('keep', [False, True])
def test_other_lengths_and_sizes_run_in_every_mode(pos_embed, shape, keep):
    frames, height, width = shape
    x = torch.randn(1, 3, *shape)
    num_tokens = frames // 2 * (height // 8) * (width // 8)
    ids = torch.arange(num_tokens)[None, ::3] if keep else None
    for out_type in ('tokens', 'pooled', 'raw') + (() if keep else ('featmap',)):
        cls = pos_embed != 'rope'
        out = build(out_type=out_type, pos_embed=pos_embed, with_cls_token=cls)(x, ids)
        assert torch.isfinite(out).all()
        if out_type == 'tokens':
            assert out.shape[1] == cls + (ids.shape[1] if keep else num_tokens)


def test_kept_tokens_do_not_depend_on_hidden_pixels():
    model = build()
    ids = torch.tensor([[0, 5, 17]])
    x = torch.randn(1, 3, 4, 32, 32)
    hidden = x.clone()
    hidden[:, :, 2:, 24:, 24:] = 100.0  # token 31
    assert torch.equal(model(x, ids), model(hidden, ids))


def test_order_of_kept_ids_does_not_matter():
    model = build()
    x = torch.randn(1, 3, 4, 32, 32)
    a, b = model(x, torch.tensor([[3, 8, 30]])), model(x, torch.tensor([[30, 3, 8]]))
    torch.testing.assert_close(a[:, 1:], b[:, [2, 3, 1]])


def test_mask_tokens_follow_the_kept_ones():
    model = build(with_mask_token=True)
    x = torch.randn(1, 3, 4, 32, 32)
    keep, mask = torch.tensor([[0, 1, 2]]), torch.tensor([[3, 4]])
    assert model(x, keep, mask).shape == (1, 6, 24)
    with pytest.raises(ValueError, match='with_mask_token'):
        build()(x, keep, mask)


def test_rotary_positions_are_those_of_the_kept_tokens():
    """Equal patches differ by nothing but where they are, also as mask tokens and of a part."""
    model = build(pos_embed='rope', with_cls_token=False, with_mask_token=True)
    x = torch.randn(2, 3, 4, 32, 32)
    ids = torch.tensor([[0, 5, 17, 30], [1, 5, 20, 21]])
    kept = model(x, ids)
    assert not torch.allclose(kept, model(x, ids + 1)), 'other patches'
    constant = torch.ones_like(x)
    constant[:, :, :2] = 0.0  # so that tokens differ, and places count
    assert not torch.allclose(model(constant, ids), model(constant, ids.flip(0)), atol=1e-4)
    torch.testing.assert_close(model(x, torch.arange(32).expand(2, -1)), model(x))
    with torch.no_grad():
        model.mask_token.fill_(0.3)
    first, second = (model(x, ids[:, :3], ids[:, 3:] + i) for i in (0, 1))
    assert not torch.allclose(first, second, atol=1e-5)


def test_rotary_positions_train_alike_with_checkpoints():
    x, ids = torch.randn(1, 3, 4, 32, 32), torch.tensor([[0, 5, 17]])
    gradients = []
    for with_cp in (False, True):
        torch.manual_seed(0)
        model = build(pos_embed='rope', with_cls_token=False, with_cp=with_cp).train()
        model(x, ids).square().sum().backward()
        assert all(param.grad is not None for param in model.parameters())
        gradients.append([param.grad for param in model.parameters()])
    torch.testing.assert_close(*gradients)


def test_drop_path_grows_to_the_rate_and_acts_in_training_only():
    model = build(drop_path_rate=0.5)
    assert [getattr(b.drop_path, 'drop_prob', 0.0) for b in model.blocks] == [0.0, 0.5]
    x = torch.randn(2, 3, 4, 32, 32)
    assert torch.equal(model(x), model(x))
    model.train()
    torch.manual_seed(0)
    assert not torch.equal(model(x), model(x))


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(arch='vast'), "'vast'"),
        (dict(arch=dict(embed_dims=24)), 'embed_dims'),
        (dict(arch=dict(embed_dims=24, depth=0, num_heads=2)), 'depth'),
        (dict(out_type='cls'), "'cls'"),
        (dict(pos_embed='learnt'), "'learnt'"),
        (dict(pos_embed='rope'), 'with_cls_token=False'),
        (
            dict(pos_embed='rope', with_cls_token=False, arch=dict(ARCH, num_heads=8)),
            'heads of an even number of values, 6 or more, got 3',
        ),
        (dict(img_size=30), '30x30'),
        (dict(num_frames=5), '5 frames'),
        (dict(drop_path_rate=1.0), 'drop_path_rate'),
        (dict(patch_size=0), 'patch_size'),
    ],
)
def test_bad_arguments_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(**kwargs)


def test_unknown_argument_is_an_error():
    with pytest.raises(TypeError, match='drop_path'):
        build(drop_path=0.1)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match='30x32'):
        build()(torch.randn(1, 3, 4, 30, 32))
    with pytest.raises(ValueError, match='featmap'):
        build(out_type='featmap')(torch.randn(1, 3, 4, 32, 32), torch.tensor([[0]]))


@pytest.mark.parametrize('with_cls_token', [True, False])
@pytest.mark.parametrize('out_type', ['tokens', 'raw'])
def test_intermediates_are_what_hooks_on_the_blocks_see(with_cls_token, out_type):
    model = build(arch=dict(ARCH, depth=4), with_cls_token=with_cls_token, out_type=out_type)
    x = torch.randn(2, 3, 4, 32, 32)
    seen = []
    handles = [
        block.register_forward_hook(lambda *call: seen.append(call[2])) for block in model.blocks
    ]
    final = model(x)
    for handle in handles:
        handle.remove()
    patches = [tokens[:, int(with_cls_token) :] for tokens in seen]

    given, found = model.forward_intermediates(x)
    assert torch.equal(given, final) and len(found) == 4
    assert all(map(torch.equal, found, patches))
    found = model.forward_intermediates(x, [-1, 1], norm=True, intermediates_only=True)
    assert all(map(torch.equal, found, (model.norm(patches[1]), model.norm(patches[3]))))
    (maps, last) = model.forward_intermediates(x, 2, output_fmt='NCTHW', intermediates_only=True)
    assert maps.shape == (2, 24, 2, 4, 4)
    assert torch.equal(maps[:, :, 1, 2, 3], patches[2][:, 16 + 2 * 4 + 3])
    assert torch.equal(last.flatten(2).transpose(1, 2), patches[3])
    ((tokens, prefix),) = model.forward_intermediates(
        x, [0], return_prefix_tokens=True, intermediates_only=True
    )
    assert torch.equal(torch.cat([prefix, tokens], dim=1), seen[0])


def test_intermediates_run_only_the_blocks_that_are_needed():
    model = build(arch=dict(ARCH, depth=4))
    ran = []
    for number, block in enumerate(model.blocks):
        block.register_forward_hook(lambda *call, number=number: ran.append(number))
    ids = torch.tensor([[0, 5, 9]])
    x = torch.randn(1, 3, 4, 32, 32)
    (tokens,) = model.forward_intermediates(x, [1], intermediates_only=True, ids_keep=ids)
    assert ran == [0, 1] and tokens.shape == (1, 3, 24)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(indices=[2]), r'indices must be in \[-2, 1\], got \[2\]'),
        (dict(indices=[]), r'got \[\]'),
        (dict(indices=3), r'must be in \[1, 2\], got 3'),
        (dict(output_fmt='NCHW'), "must be 'NLC' or 'NCTHW', got 'NCHW'"),
        (dict(output_fmt='NCTHW', ids_keep=torch.tensor([[0]])), 'needs all patches'),
    ],
)
def test_intermediates_name_what_is_wrong(options, message):
    with pytest.raises(ValueError, match=message):
        build().forward_intermediates(torch.randn(1, 3, 4, 32, 32), **options)
