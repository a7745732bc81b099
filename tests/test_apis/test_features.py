import pytest
import torch
import torch.nn.functional as F

from mmmae_st.apis.features import (
    class_attention,
    clip_features,
    nearest_neighbours,
    patch_tokens,
    principal_colours,
    similarity,
)
from mmmae_st.models import SpacetimeViT

ARCH = dict(embed_dims=32, depth=2, num_heads=2)


@pytest.fixture(scope='module')
def encoder():
    torch.manual_seed(0)
    encoder = SpacetimeViT(ARCH, img_size=32, num_frames=4, patch_size=8).eval()
    for parameter in encoder.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return encoder


def test_tokens_are_put_on_the_grid(encoder):
    video = torch.randn(2, 3, 4, 32, 16)
    tokens = patch_tokens(encoder, video)
    assert tokens.shape == (2, 2, 4, 2, 32)
    assert torch.equal(tokens[:, 1, 2, 1], encoder(video)[:, 1 + 8 + 4 + 1])


def test_class_attention_is_that_of_the_block(encoder):
    video = torch.randn(1, 3, 4, 32, 32)
    found = class_attention(encoder, video, block=1)
    assert found.shape == (1, 2, 4, 4)
    # The block's own output for the class token, from these weights and the values.
    seen = {}
    block = encoder.blocks[1].attn
    handles = [
        block.register_forward_pre_hook(lambda _, args: seen.update(x=args[0])),
        block.proj.register_forward_pre_hook(lambda _, args: seen.update(out=args[0])),
    ]
    with torch.no_grad():
        encoder(video)
        q, k, v = block.qkv(seen['x']).chunk(3, dim=-1)
    for handle in handles:
        handle.remove()
    heads = []
    for head in range(2):
        part = slice(16 * head, 16 * head + 16)
        weights = (q[0, :1, part] @ k[0, :, part].T / 4).softmax(-1)
        heads.append(weights[0])
        assert torch.allclose(weights @ v[0, :, part], seen['out'][0, :1, part], atol=1e-5)
    assert torch.allclose(found.flatten(), torch.stack(heads).mean(0)[1:], atol=1e-6)


def test_class_attention_needs_a_class_token_and_a_block(encoder):
    video = torch.randn(1, 3, 4, 32, 32)
    with pytest.raises(ValueError, match=r'block must be in \[-2, 1\], got 2'):
        class_attention(encoder, video, block=2)
    plain = SpacetimeViT(ARCH, img_size=32, num_frames=4, patch_size=8, with_cls_token=False)
    with pytest.raises(ValueError, match='no class token'):
        class_attention(plain, video)


def test_similarity_is_one_at_the_position_and_ignores_the_mean():
    tokens = torch.randn(1, 2, 3, 4, 8) + 100
    found = similarity(tokens, (1, 2, 3))
    assert found[0, 1, 2, 3] == pytest.approx(1, abs=1e-5)
    assert torch.allclose(found, similarity(tokens + 5, (1, 2, 3)), atol=1e-3)
    assert found.min() < 0
    with pytest.raises(ValueError, match='outside the token grid'):
        similarity(tokens, (2, 0, 0))


def test_colours_follow_the_main_direction():
    tokens = 0.01 * torch.randn(1, 2, 4, 4, 8)
    tokens[:, 1, :, :, 3] += 10
    colours = principal_colours(tokens)
    assert colours.shape == (1, 2, 4, 4, 3)
    assert colours.min() >= 0 and colours.max() <= 1
    first = colours[0, ..., 0]
    assert (first[0] - first[1]).abs().min() > 0.9


def test_neighbours_are_the_most_similar_others():
    centres = F.normalize(torch.randn(3, 16), dim=-1).repeat_interleave(2, dim=0)
    features = F.normalize(centres + 0.01 * torch.randn(6, 16), dim=-1)
    indices, values = nearest_neighbours(features, k=2)
    assert indices[:, 0].tolist() == [1, 0, 3, 2, 5, 4]
    assert (values[:, 0] >= values[:, 1]).all()
    with pytest.raises(ValueError, match=r'k must be in \[1, 5\], got 6'):
        nearest_neighbours(features, k=6)


def test_clip_features_have_unit_length():
    found = clip_features(torch.randn(3, 2, 4, 4, 8))
    assert found.norm(dim=1).tolist() == pytest.approx([1, 1, 1])
