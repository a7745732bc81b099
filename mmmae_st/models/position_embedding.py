"""Position embeddings of the token grid, and their resampling.

Dimensions: B clips, L tokens, K named tokens, N positions, D width, t h w the token grid.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

POS_EMBEDS = ('separable', 'joint', 'sincos')


def sincos_embedding(positions: Tensor, embed_dims: int) -> Tensor:
    """Fixed embedding (N, D) of N positions: sines in the first half, cosines in the second."""
    rates = 10000.0 ** -(torch.arange(embed_dims // 2, dtype=torch.float64) / (embed_dims // 2))
    angles = positions.to(torch.float64)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()


class PositionEmbedding(nn.Module):
    """Position embedding of a token grid, resampled when the grid differs from the built one.

    Args:
        embed_dims: Width D.
        grid: Token grid (t, h, w) that the parameters are made for.
        kind: ``'separable'`` learns h*w + t vectors and adds them (the paper's default),
            ``'joint'`` learns t*h*w vectors, ``'sincos'`` is separable and fixed.
        with_cls_token: Also hold an embedding for the class token (zero for ``'sincos'``).
    """

    spatial: Tensor
    temporal: Tensor
    joint: Tensor
    cls: Tensor

    def __init__(
        self,
        embed_dims: int,
        grid: tuple[int, int, int],
        kind: str = 'separable',
        with_cls_token: bool = True,
    ) -> None:
        super().__init__()
        if kind not in POS_EMBEDS:
            raise ValueError(f'pos_embed must be one of {POS_EMBEDS}, got {kind!r}')
        if kind == 'sincos' and embed_dims % 4:
            raise ValueError(f"pos_embed='sincos' needs a width divisible by 4, got {embed_dims}")
        self.grid = grid
        self.kind = kind
        t, h, w = grid
        sizes = {'joint': t * h * w} if kind == 'joint' else {'spatial': h * w, 'temporal': t}
        if with_cls_token:
            sizes['cls'] = 1
        for name, size in sizes.items():
            table = torch.zeros(1, size, embed_dims)
            if kind == 'sincos':
                self.register_buffer(name, table, persistent=False)
            else:
                setattr(self, name, nn.Parameter(table))
        if kind == 'sincos':
            rows, cols = (sincos_embedding(torch.arange(n), embed_dims // 2) for n in (h, w))
            self.spatial[0] = torch.cat(
                [rows.repeat_interleave(w, dim=0), cols.repeat(h, 1)], dim=1
            )
            self.temporal[0] = sincos_embedding(torch.arange(t), embed_dims)
        else:
            for param in self.parameters():
                nn.init.trunc_normal_(param, std=0.02)

    def table(self, grid: tuple[int, int, int]) -> Tensor:
        """Embeddings (L, D) of every token of ``grid``: spatially bicubic, temporally linear."""
        if self.kind == 'joint':
            joint = self.joint[0].unflatten(0, self.grid)
            joint = resize_time(joint.flatten(1), grid[0]).unflatten(1, (*self.grid[1:], -1))
            return resize_space(joint, grid[1:]).flatten(0, 2)
        spatial = resize_space(self.spatial.unflatten(1, self.grid[1:]), grid[1:]).flatten(1, 2)
        return (resize_time(self.temporal[0], grid[0])[:, None] + spatial).flatten(0, 1)

    def forward(self, grid: tuple[int, int, int], ids_BK: Tensor | None = None) -> Tensor:
        """Embeddings (B, K, D) of the named tokens, or (1, L, D) of all."""
        table = self.table(grid)
        return table[None] if ids_BK is None else F.embedding(ids_BK, table)


def resize_time(x_tD: Tensor, size: int) -> Tensor:
    """Resample positions (t, D) linearly to ``size`` time slices."""
    if x_tD.shape[0] == size:
        return x_tD
    resized = F.interpolate(x_tD.T[None].float(), size=size, mode='linear', align_corners=False)
    return resized[0].T.to(x_tD.dtype)


def resize_space(x_NhwD: Tensor, size: tuple[int, int]) -> Tensor:
    """Resample positions (N, h, w, D) bicubically to ``size`` rows and columns."""
    if tuple(x_NhwD.shape[1:3]) == tuple(size):
        return x_NhwD
    channels_first = x_NhwD.permute(0, 3, 1, 2).float()
    resized = F.interpolate(channels_first, size=size, mode='bicubic', align_corners=False)
    return resized.permute(0, 2, 3, 1).to(x_NhwD.dtype)
