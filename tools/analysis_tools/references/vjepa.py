"""V-JEPA 2's encoder, from its description and its names: rotary positions, no class token."""

import torch
from torch import Tensor, nn

from .layers import Attention, Block, PatchEmbed, take


def turned(x: Tensor, places: Tensor) -> Tensor:
    """Queries or keys (B, N, L, C) at places (B or 1, L, 3), value for value.

    In each third of the head the values 2i and 2i + 1 are a pair, and value j takes the angle of
    the frequency j, which begins again after half of the third.
    """
    third = 2 * (x.shape[-1] // 3 // 2)
    result = x.clone()
    for axis in range(3):
        for j in range(third):
            value = axis * third + j
            rate = 10000 ** -(j % (third // 2) / (third / 2))
            angle = places[:, None, :, axis] * rate
            partner = -x[..., value + 1] if j % 2 == 0 else x[..., value - 1]
            result[..., value] = x[..., value] * angle.cos() + partner * angle.sin()
    return result


class RotaryAttention(Attention):
    """Queries and keys are turned by their place in (t, h, w)."""

    places: Tensor

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        q, k, v = super().project(x)
        heads = (y.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for y in (q, k))
        q, k = (turned(y, self.places).transpose(1, 2).flatten(2) for y in heads)
        return q, k, v


class VJEPAEncoder(nn.Module):
    """V-JEPA 2, or V-JEPA with the table (1, L, D) that it adds in place of rotary positions."""

    def __init__(
        self,
        embed_dim: int,
        depth: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        table: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(embed_dim, 2, 16)
        attention = RotaryAttention if table is None else Attention
        self.blocks = nn.ModuleList(
            Block(embed_dim, attention(embed_dim, num_heads, fused=True), mlp_ratio)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)
        self.pos_embed = None if table is None else nn.Parameter(table)

    def forward(self, clips: Tensor, ids_keep: Tensor | None = None) -> Tensor:
        """Tokens (B, K, D) of the kept patches, or of all."""
        t, h, w = clips.shape[2] // 2, clips.shape[3] // 16, clips.shape[4] // 16
        places = torch.cartesian_prod(*(torch.arange(n) for n in (t, h, w)))[None]
        x = self.patch_embed(clips)
        if self.pos_embed is not None:
            x = x + self.pos_embed
        if ids_keep is not None:
            x, places = take(x, ids_keep), take(places, ids_keep)
        for block in self.blocks:
            block.attn.places = places
            x = block(x)
        return self.norm(x)
