"""Rotary positions of the token grid, as in V-JEPA 2.

Dimensions: B clips, N heads, K named tokens, C width of a head, t h w the token grid.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines of the named tokens, (B or 1, 1, K, C) float32 each."""


class RotaryEmbedding(nn.Module):
    """Angles by which queries and keys turn with their position (arXiv 2506.09985, section 2.1).

    The first third of a head turns with t, the second with h, the last with w; a third is the
    largest even number that fits, and what is left over does not turn. There are no parameters,
    and grids of any size are served.

    Values 2i and 2i + 1 of a third are a pair. Each takes an angle of its own, that of the
    frequency 2i or 2i + 1 (counted anew from half of the third on), in place of a common one: so
    V-JEPA 2 was trained (facebookresearch/vjepa2 pull request 15), and so it has to stay.

    Args:
        head_dims: Width C of a head, even and at least 6.
        grid: Token grid (t, h, w) that the encoder is made for.

    Raises:
        ValueError: If the heads are too narrow or of odd width.
    """

    kind = 'rope'

    def __init__(self, head_dims: int, grid: tuple[int, int, int]) -> None:
        super().__init__()
        if head_dims < 6 or head_dims % 2:
            raise ValueError(
                "pos_embed='rope' needs heads of an even number of values, 6 or more, got "
                f'{head_dims}: choose another num_heads'
            )
        self.grid = grid
        self.third = head_dims // 3 // 2 * 2
        self.rest = head_dims - 3 * self.third

    def forward(self, grid: tuple[int, int, int], ids_BK: Tensor) -> Rotation:
        """The rotation of the tokens of ``grid`` that ids (B, K) int64 name."""
        _, h, w = grid
        positions = torch.stack([ids_BK // (h * w), ids_BK // w % h, ids_BK % w], dim=-1)
        half = self.third // 2
        rates = 10000.0 ** -(torch.arange(half, device=ids_BK.device) / half)
        angles = (positions[..., None] * rates.repeat(2)).flatten(-2)
        angles = F.pad(angles, (0, self.rest))[:, None]
        return angles.cos(), angles.sin()


def rotate(x_BNKC: Tensor, rotation: Rotation) -> Tensor:
    """Queries or keys, turned."""
    cos, sin = (values.to(x_BNKC.dtype) for values in rotation)
    first, second = x_BNKC.unflatten(-1, (-1, 2)).unbind(-1)
    return x_BNKC * cos + torch.stack([-second, first], dim=-1).flatten(-2) * sin
