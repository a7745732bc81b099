import pytest
import torch
import torch.nn.functional as F

from mmmae_st.models.layers import Attention, Block, PatchEmbed, init_transformer, run_blocks
from mmmae_st.models.position_embedding import PositionEmbedding


def test_patch_embed_equals_the_strided_convolution():
    embed = PatchEmbed(3, 8, 2, 4)
    video = torch.randn(2, 3, 4, 8, 12)
    dense = embed.proj(video).flatten(2).transpose(1, 2)
    torch.testing.assert_close(embed(video), dense)
    ids = torch.tensor([[1, 10], [0, 6]])
    torch.testing.assert_close(embed(video, ids)[1], dense[1, ids[1]])


def test_attention_equals_explicit_softmax():
    attention = Attention(12, 3)
    x = torch.randn(2, 7, 12)
    q, k, v = attention.qkv(x).view(2, 7, 3, 3, 4).permute(2, 0, 3, 1, 4)
    weights = (q @ k.transpose(-2, -1) / 2.0).softmax(-1)
    expected = attention.proj((weights @ v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(x), expected)


def test_queries_of_the_tail_give_the_tail():
    block = Block(12, 3)
    x = torch.randn(2, 7, 12)
    torch.testing.assert_close(block(x, num_queries=3), block(x)[:, -3:])


def test_attention_rejects_heads_that_do_not_divide():
    with pytest.raises(ValueError, match='num_heads=5'):
        Attention(12, 5)


@pytest.mark.parametrize('kind', ['separable', 'joint', 'sincos'])
def test_position_embedding_of_the_built_grid_is_not_resampled(kind):
    embedding = PositionEmbedding(16, (2, 3, 4), kind)
    table = embedding((2, 3, 4))
    assert table.shape == (1, 24, 16)
    if kind == 'joint':
        assert torch.equal(table, embedding.joint)
    else:
        expected = embedding.temporal[0, 1] + embedding.spatial[0, 2 * 4 + 3]
        torch.testing.assert_close(table[0, 1 * 12 + 2 * 4 + 3], expected)
    ids = torch.tensor([[5, 23], [0, 1]])
    torch.testing.assert_close(embedding((2, 3, 4), ids), table[0][ids])


@pytest.mark.parametrize('kind', ['separable', 'joint', 'sincos'])
def test_position_embedding_is_resampled_bicubic_in_space_and_linear_in_time(kind):
    embedding = PositionEmbedding(16, (2, 3, 4), kind)
    table = embedding((4, 6, 5)).unflatten(1, (4, 6, 5))
    base = embedding((2, 3, 4)).detach().unflatten(1, (2, 3, 4))
    frames = F.interpolate(
        base[0].permute(0, 3, 1, 2), size=(6, 5), mode='bicubic', align_corners=False
    )
    # Time: 4 positions over 2 lie at -0.25, 0.25, 0.75, 1.25, clamped at the ends.
    torch.testing.assert_close(table[0, 0].permute(2, 0, 1), frames[0], atol=1e-5, rtol=1e-4)
    mixed = 0.75 * frames[0] + 0.25 * frames[1]
    torch.testing.assert_close(table[0, 1].permute(2, 0, 1), mixed, atol=1e-5, rtol=1e-4)


def test_sincos_positions_are_distinct_fixed_and_not_saved():
    embedding = PositionEmbedding(16, (2, 3, 4), 'sincos')
    assert not list(embedding.parameters()) and not embedding.state_dict()
    table = embedding((2, 3, 4))[0]
    assert len(torch.unique(table, dim=0)) == 24
    with pytest.raises(ValueError, match='18'):
        PositionEmbedding(18, (2, 3, 4), 'sincos')


def test_checkpointed_blocks_give_the_same_gradients():
    blocks = torch.nn.ModuleList(Block(12, 3) for _ in range(3))
    x = torch.randn(2, 7, 12, requires_grad=True)
    grads = []
    for with_cp in (False, True):
        run_blocks(blocks, x, with_cp, num_queries=2).square().sum().backward()
        grads.append([p.grad.clone() for p in blocks.parameters()])
        blocks.zero_grad()
    for plain, recomputed in zip(*grads, strict=True):
        torch.testing.assert_close(plain, recomputed)


def test_init_draws_qkv_as_three_square_matrices():
    attention = Attention(64, 4)
    init_transformer(attention)
    bound = (6 / (64 + 64)) ** 0.5
    for matrix in attention.qkv.weight.chunk(3):
        assert 0.95 * bound < matrix.abs().max() <= bound
    assert not attention.qkv.bias.any()
