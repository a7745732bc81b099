"""Position tables and kernels between grids, and between images and clips.

Dimensions: D width, t h w the token grid, L = t*h*w, u p q frames, rows and columns of a patch.
"""

import torch
from torch import Tensor

from mmmae_st.models.position_embedding import resize_space, resize_time

Grid = tuple[int, int, int]


def resize_table(table: Tensor, old: Grid, new: Grid) -> Tensor:
    """A position table (1, L, D) of one grid for another: spatially bicubic, temporally linear.

    The same as the model does when a clip has another size than it was built for. Tables over
    space or time alone have a grid of length 1 in the other axes.
    """
    joint = table[0].unflatten(0, old)
    joint = resize_time(joint.flatten(1), new[0]).unflatten(1, (*old[1:], -1))
    return resize_space(joint, new[1:]).flatten(0, 2)[None]


def videomae_table(num_tokens: int, width: int) -> Tensor:
    """Fixed table (1, L, D) of VideoMAE (arXiv 2203.12602) over the running index of the token.

    Dimension i of token n is the sine (even i) or cosine (odd i) of n / 10000^(2*floor(i/2)/D).
    """
    index = torch.arange(width)
    rates = 10000.0 ** -(2 * (index // 2) / width).double()
    angles = torch.arange(num_tokens).double()[:, None] * rates
    return torch.where(index % 2 == 0, angles.sin(), angles.cos()).float()[None]


def inflate_image(
    state: dict[str, Tensor], tubelet_size: int, num_steps: int = 8
) -> dict[str, str]:
    """Make a clip encoder of a 2-D one, in place (arXiv 2205.09113, section 5).

    The kernel W becomes W / u in each of u frames, so that equal frames give what the image
    gives. The table becomes the spatial one and the temporal one is zero.

    Returns:
        The names of what was computed, with how.
    """
    kernel, joint = 'backbone.patch_embed.proj.weight', 'backbone.pos_embed.joint'
    temporal = 'backbone.pos_embed.temporal'
    flat = state[kernel]
    state[kernel] = flat[:, :, None].repeat(1, 1, tubelet_size, 1, 1) / tubelet_size
    changed = {kernel: f'inflated to {tubelet_size} frames'}
    if joint in state:
        state['backbone.pos_embed.spatial'] = state.pop(joint)
        state[temporal] = flat.new_zeros(1, num_steps, flat.shape[0])
        changed |= {'backbone.pos_embed.spatial': 'split', temporal: 'zero'}
    return changed
