"""Layers that the encoder and the decoder share.

Dimensions: B clips, L tokens, K named tokens, Q queries, D width, t h w the token grid.
"""

import torch.nn.functional as F
from timm.layers import DropPath, Mlp
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmmae_st.models.rotary import Rotation, rotate
from mmmae_st.patching import select_patches


def require_positive(**values: float) -> None:
    """Raise a ValueError that names the first argument that is not greater than 0."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f'{name} must be greater than 0, got {value}')


class PatchEmbed(nn.Module):
    """Linear embedding of spacetime patches, of the kept ones only when ids are given.

    ``proj`` holds the weight in the published shape (D, C, u, p, q); it is applied as a matrix
    product to selected patches, which equals the convolution with stride = kernel.
    """

    def __init__(
        self, in_channels: int, embed_dims: int, tubelet_size: int, patch_size: int
    ) -> None:
        super().__init__()
        self.tubelet_size = tubelet_size
        self.patch_size = patch_size
        kernel = (tubelet_size, patch_size, patch_size)
        self.proj = nn.Conv3d(in_channels, embed_dims, kernel_size=kernel, stride=kernel)

    def forward(self, video_BCTHW: Tensor, ids_BK: Tensor | None = None) -> Tensor:
        """Tokens (B, K, D), or (B, L, D) without ids."""
        patches = select_patches(video_BCTHW, ids_BK, self.tubelet_size, self.patch_size)
        return F.linear(patches.flatten(2), self.proj.weight.flatten(1), self.proj.bias)


class Attention(nn.Module):
    """Multi-head self-attention on PyTorch's fused kernel.

    Args:
        embed_dims: Width D.
        num_heads: Number of heads, a divisor of D.
    """

    def __init__(self, embed_dims: int, num_heads: int) -> None:
        super().__init__()
        if num_heads < 1 or embed_dims % num_heads:
            raise ValueError(
                f'num_heads must divide the width {embed_dims}, got num_heads={num_heads}'
            )
        self.num_heads = num_heads
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(
        self, x_BLD: Tensor, num_queries: int | None = None, rotation: Rotation | None = None
    ) -> Tensor:
        """Attend from every token, or from the last ``num_queries`` only: (B, L or Q, D).

        With ``rotation``, which is of all tokens, from every token.
        """
        if num_queries is None:
            q, k, v = self.qkv(x_BLD).chunk(3, dim=-1)
        else:
            width = x_BLD.shape[-1]
            weight, bias = self.qkv.weight, self.qkv.bias
            q = F.linear(x_BLD[:, -num_queries:], weight[:width], bias[:width])
            k, v = F.linear(x_BLD, weight[width:], bias[width:]).chunk(2, dim=-1)
        q, k, v = (y.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for y in (q, k, v))
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Pre-norm transformer block.

    Args:
        embed_dims: Width D.
        num_heads: Attention heads.
        mlp_ratio: Width of the hidden layer over D.
        drop_path: Probability of dropping the residual branches of a clip.
        norm_eps: Epsilon of the layer norms.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
        norm_eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims, eps=norm_eps)
        self.attn = Attention(embed_dims, num_heads)
        self.norm2 = nn.LayerNorm(embed_dims, eps=norm_eps)
        self.mlp = Mlp(embed_dims, int(embed_dims * mlp_ratio))
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(
        self, x_BLD: Tensor, num_queries: int | None = None, rotation: Rotation | None = None
    ) -> Tensor:
        """Tokens (B, L, D), or only the last ``num_queries`` of them."""
        residual = x_BLD if num_queries is None else x_BLD[:, -num_queries:]
        x = residual + self.drop_path(self.attn(self.norm1(x_BLD), num_queries, rotation))
        return x + self.drop_path(self.mlp(self.norm2(x)))


def run_blocks(
    blocks: nn.ModuleList,
    x_BLD: Tensor,
    with_cp: bool,
    num_queries: int | None = None,
    rotation: Rotation | None = None,
) -> Tensor:
    """Apply the blocks in turn, the last one to the last ``num_queries`` tokens only.

    With ``with_cp`` the activations inside a block are recomputed in the backward pass.
    ``rotation`` turns the queries and keys of every block.
    """
    last = len(blocks) - 1
    for i, block in enumerate(blocks):
        queries = num_queries if i == last else None
        if with_cp and x_BLD.requires_grad:
            x_BLD = checkpoint(block, x_BLD, queries, rotation, use_reentrant=False)
        else:
            x_BLD = block(x_BLD, queries, rotation)
    return x_BLD


def init_transformer(module: nn.Module) -> None:
    """Initialise as published: Xavier-uniform matrices, zero biases, unit norms.

    ``qkv`` is drawn as three square matrices, so that its scale is that of separate projections.
    """
    for child in module.modules():
        if isinstance(child, nn.Linear):
            nn.init.xavier_uniform_(child.weight)
            nn.init.zeros_(child.bias)
        elif isinstance(child, nn.Conv3d):
            nn.init.xavier_uniform_(child.weight.view(child.weight.shape[0], -1))
            assert child.bias is not None
            nn.init.zeros_(child.bias)
    for child in module.modules():
        if isinstance(child, Attention):
            for matrix in child.qkv.weight.data.chunk(3):
                nn.init.xavier_uniform_(matrix)
