"""VideoMAE's encoder, from its description and its names: no class token, no bias of the keys."""

import math

import torch
from torch import Tensor, nn

from .layers import Attention, Block, PatchEmbed, take


class QVBiasAttention(Attention):
    """Fused projection with biases of the queries and values only."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__(dim, num_heads, fused=True)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dim))
        self.v_bias = nn.Parameter(torch.zeros(dim))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return q + self.q_bias, k, v + self.v_bias


class VideoMAEEncoder(nn.Module):
    """Sine and cosine of the running token index, interleaved, as positions."""

    def __init__(
        self, embed_dim: int, depth: int, num_heads: int, num_tokens: int, patch_size: int = 16
    ) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(embed_dim, 2, patch_size)
        self.blocks = nn.ModuleList(
            Block(embed_dim, QVBiasAttention(embed_dim, num_heads)) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)
        table = torch.empty(1, num_tokens, embed_dim)
        for n in range(num_tokens):
            for i in range(0, embed_dim, 2):
                angle = n / 10000 ** (i / embed_dim)
                table[0, n, i], table[0, n, i + 1] = math.sin(angle), math.cos(angle)
        self.positions = table

    def forward(self, clips: Tensor, ids_keep: Tensor) -> Tensor:
        x = take(self.patch_embed(clips) + self.positions, ids_keep)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)
