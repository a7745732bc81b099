"""Any arguments of models and masks either work or raise a ValueError that names one of them."""

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmmae_st.datasets.transforms import BlockMasking, FrameMasking, RandomMasking, TubeMasking
from mmmae_st.models import MAEDecoder, MAEHead, SpacetimeViT, SpatiotemporalMAE

MASKS = (RandomMasking, TubeMasking, FrameMasking, BlockMasking)
quick = settings(max_examples=80, deadline=None, derandomize=True)

small = st.integers(-1, 6)
rate = st.one_of(st.floats(-0.5, 0), st.floats(1e-6, 1.5), st.sampled_from([0.5, 1.0]))
word = st.sampled_from(['separable', 'joint', 'sincos', 'none', ''])
arch = st.one_of(
    st.sampled_from(['tiny', 'enormous', '']),
    st.fixed_dictionaries(
        dict(embed_dims=st.sampled_from([0, 6, 8, 12, 30]), depth=small, num_heads=small)
    ),
    st.just(dict(embed_dims=8)),
)
size = st.one_of(st.integers(-4, 40), st.tuples(st.integers(-4, 24), st.integers(-4, 24)))


def assert_names_an_argument(error: ValueError, *components: type) -> None:
    """The message holds the name of an argument of one of the components."""
    names = {name for component in components for name in inspect.signature(component).parameters}
    names |= {'num_heads', 'depth'}  # keys of arch
    assert any(name in str(error) for name in names), str(error)


@given(
    args=st.fixed_dictionaries(
        {},
        optional=dict(
            arch=arch, img_size=size, num_frames=st.integers(-2, 9), patch_size=small,
            tubelet_size=st.integers(-1, 4), in_channels=small, pos_embed=word,
            with_cls_token=st.booleans(), with_mask_token=st.booleans(),
            mlp_ratio=st.sampled_from([-1.0, 0.0, 0.5, 2.0]), drop_path_rate=rate,
            norm_eps=st.sampled_from([1e-6, 1e-5]), with_cp=st.booleans(),
            out_type=st.sampled_from(['tokens', 'raw', 'pooled', 'featmap', 'all']),
        ),
    )
)  # fmt: skip
@quick
def test_encoder(args):
    args = dict(arch=dict(embed_dims=12, depth=1, num_heads=2), img_size=16, num_frames=4) | args
    args.setdefault('patch_size', 8)
    try:
        model = SpacetimeViT(**args)
    except ValueError as error:
        return assert_names_an_argument(error, SpacetimeViT)
    side = args['img_size']
    height, width = side if isinstance(side, tuple) else (side, side)
    clip = torch.randn(1, args.get('in_channels', 3), args['num_frames'], height, width)
    out = model(clip)
    assert out.isfinite().all() and out.shape[0] == 1
    t, h, w = model.grid
    assert t * h * w * model.patch_size**2 * model.tubelet_size == clip[0, 0].numel()


@given(
    args=st.fixed_dictionaries(
        {},
        optional=dict(
            encoder_dims=st.sampled_from([0, 6, 12]), embed_dims=st.sampled_from([0, 6, 8, 12]),
            depth=small, num_heads=small, img_size=size, num_frames=st.integers(-2, 9),
            patch_size=small, tubelet_size=st.integers(-1, 4), pos_embed=word,
            cls_token=st.sampled_from(['own', 'encoder', 'none', 'both']),
            encoder_cls_token=st.booleans(), with_mask_token=st.booleans(),
            mlp_ratio=st.sampled_from([-1.0, 0.0, 0.5, 2.0]),
        ),
    )
)  # fmt: skip
@quick
def test_decoder(args):
    args = dict(encoder_dims=12, embed_dims=8, depth=1, num_heads=2, img_size=16) | args
    args = dict(num_frames=4, patch_size=8) | args
    try:
        model = MAEDecoder(**args)
    except ValueError as error:
        return assert_names_an_argument(error, MAEDecoder)
    grid = model.pos_embed.grid
    total = int(np.prod(grid))
    kept = torch.arange(total)[None]
    latent = torch.randn(1, total + model.encoder_cls_token, args['encoder_dims'])
    out = model(latent, kept, None, grid=grid, num_outputs=total)
    assert out.shape == (1, total, args['embed_dims']) and out.isfinite().all()


@given(
    args=st.fixed_dictionaries(
        {},
        optional=dict(
            embed_dims=st.sampled_from([0, 4, 8]), patch_size=st.sampled_from([-8, 0, 2, 8, 16]),
            tubelet_size=st.integers(-1, 4), in_channels=small,
            target=st.sampled_from(['normalized_pixels', 'pixels', 'hog', 'flow']),
            frames=st.sampled_from(['linspace', 'stride', 'all', 'first']),
        ),
    )
)  # fmt: skip
@quick
def test_head(args):
    args = dict(embed_dims=8, patch_size=8) | args
    try:
        head = MAEHead(**args)
    except ValueError as error:
        return assert_names_an_argument(error, MAEHead)
    side = 2 * head.patch_size
    clip = torch.randn(1, args.get('in_channels', 3), 2 * head.tubelet_size, side, side)
    ids = torch.tensor([[0, 3, 5]])
    loss = head.loss(head(torch.randn(1, 3, args['embed_dims'])), clip, ids)
    assert loss.shape == (1,) and loss.isfinite().all()


@given(
    encoder=st.fixed_dictionaries(
        dict(embed_dims=st.sampled_from([8, 12]), cls=st.booleans(), mask=st.booleans())
    ),
    decoder=st.fixed_dictionaries(
        dict(
            encoder_dims=st.sampled_from([8, 12]), encoder_cls_token=st.booleans(),
            with_mask_token=st.booleans(), cls_token=st.sampled_from(['own', 'encoder', 'none']),
        )
    ),
    head=st.fixed_dictionaries(
        dict(embed_dims=st.sampled_from([8, 16]), patch_size=st.sampled_from([8, 16]))
    ),
    kept=st.integers(1, 7),
)  # fmt: skip
@quick
def test_whole_model(encoder, decoder, head, kept):
    shape = dict(img_size=16, num_frames=4, patch_size=8)
    backbone = dict(
        type='SpacetimeViT', with_cls_token=encoder['cls'], with_mask_token=encoder['mask'],
        arch=dict(embed_dims=encoder['embed_dims'], depth=1, num_heads=2), **shape,
    )  # fmt: skip
    decoder = dict(type='MAEDecoder', embed_dims=16, depth=1, num_heads=2, **decoder, **shape)
    try:
        model = SpatiotemporalMAE(backbone, decoder, dict(type='MAEHead', **head))
    except ValueError as error:
        return assert_names_an_argument(error, SpacetimeViT, MAEDecoder, MAEHead)
    ids = torch.stack([torch.randperm(8)[:kept].sort().values for _ in range(2)])
    loss = model.loss(torch.randn(2, 3, 4, 16, 16), ids)['loss']
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


@given(
    kind=st.sampled_from(MASKS),
    ratio=rate,
    patch_size=st.one_of(small, st.just(8), st.just(2.5)),
    tubelet_size=st.one_of(small, st.just(None)),
    clip=st.tuples(st.integers(1, 9), st.integers(1, 40), st.integers(1, 40)),
    views=st.integers(1, 3),
    seed=st.integers(0, 2**32),
)
@settings(quick, max_examples=300)
def test_masks(kind, ratio, patch_size, tubelet_size, clip, views, seed):
    arguments = dict(ratio=ratio, patch_size=patch_size, tubelet_size=tubelet_size)
    results = dict(
        clips=[np.zeros((*clip, 3), np.uint8)] * views,
        rngs=[np.random.default_rng((seed, view)) for view in range(views)],
    )
    try:
        out = kind(**arguments).transform(results)
    except ValueError as error:
        return assert_names_an_argument(error, kind)
    ids, (t, h, w) = out['ids_keep'], out['grid']
    assert (t * tubelet_size, h * patch_size, w * patch_size) == clip
    assert ids.dtype == np.int64 and ids.shape[0] == views
    assert (np.diff(ids) > 0).all() and ids.min() >= 0 and ids.max() < t * h * w
    assert 0 < ids.shape[1] < t * h * w


@pytest.mark.parametrize('kind', MASKS)
def test_masks_of_the_paper_keep_what_it_says(kind):
    clips = [np.zeros((16, 224, 224, 3), np.uint8)]
    results = dict(clips=clips, rngs=[np.random.default_rng(0)])
    kept = dict(RandomMasking=392, TubeMasking=392, FrameMasking=392, BlockMasking=392)
    assert kind(ratio=0.75).transform(results)['ids_keep'].shape == (1, kept[kind.__name__])
