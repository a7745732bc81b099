"""VideoMAE's encoder, from its description and its names: no class token, no bias of the keys."""

import math

import torch
from torch import Tensor, nn

from .layers import Attention, Block, PatchEmbed, take


class QVBiasAttention(Attention):
    """Fused projection with biases of the queries and values only, or with none."""

    def __init__(self, dim: int, num_heads: int, qkv_bias: bool) -> None:
        super().__init__(dim, num_heads, fused=True)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dim)) if qkv_bias else None
        self.v_bias = nn.Parameter(torch.zeros(dim)) if qkv_bias else None

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        if self.q_bias is None or self.v_bias is None:
            return q, k, v
        return q + self.q_bias, k, v + self.v_bias


class VideoMAEEncoder(nn.Module):
    """Sine and cosine of the running token index, interleaved, as positions."""

    def __init__(
        self,
        embed_dim: int,
        depth: int,
        num_heads: int,
        num_tokens: int = 1568,
        patch_size: int = 16,
        qkv_bias: bool = True,
        mlp_ratio: float = 4.0,
    ) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(embed_dim, 2, patch_size)
        self.blocks = nn.ModuleList(
            Block(embed_dim, QVBiasAttention(embed_dim, num_heads, qkv_bias), mlp_ratio)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)
        table = torch.empty(1, num_tokens, embed_dim)
        for n in range(num_tokens):
            for i in range(0, embed_dim, 2):
                angle = n / 10000 ** (i / embed_dim)
                table[0, n, i], table[0, n, i + 1] = math.sin(angle), math.cos(angle)
        self.positions = table

    def encode(self, clips: Tensor, ids_keep: Tensor | None = None) -> Tensor:
        """Tokens (B, K, D) before the final norm."""
        x = self.patch_embed(clips) + self.positions
        if ids_keep is not None:
            x = take(x, ids_keep)
        for block in self.blocks:
            x = block(x)
        return x

    def forward(self, clips: Tensor, ids_keep: Tensor) -> Tensor:
        return self.norm(self.encode(clips, ids_keep))


class VideoMAEClassifier(VideoMAEEncoder):
    """Fine-tuned: the norm of the mean, or the first token of what is normed, then a layer."""

    def __init__(
        self,
        embed_dim: int,
        depth: int,
        num_heads: int,
        num_classes: int,
        use_mean_pooling: bool = True,
        num_tokens: int = 1568,
        patch_size: int = 16,
        mlp_ratio: float = 4.0,
    ) -> None:
        super().__init__(embed_dim, depth, num_heads, num_tokens, patch_size, mlp_ratio=mlp_ratio)
        self.fc_norm = self.norm if use_mean_pooling else None
        self.norm = nn.Identity() if use_mean_pooling else self.norm
        self.head = nn.Linear(embed_dim, num_classes)

    def forward(self, clips: Tensor) -> Tensor:
        x = self.norm(self.encode(clips))
        return self.head(x[:, 0] if self.fc_norm is None else self.fc_norm(x.mean(dim=1)))
