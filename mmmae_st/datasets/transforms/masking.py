"""Which tokens the encoder sees: ``ids_keep``, (R, K) int64, sorted, drawn apart for each view.

A clip of T frames H x W is a grid of (t, h, w) tokens; token (i, j, k) has the number
(i * h + j) * w + k. Of L tokens floor(L * (1 - ratio)) are kept (paper, section 3).
"""

import math
from abc import abstractmethod

import numpy as np
from mmcv.transforms import BaseTransform

from mmmae_st.patching import token_grid
from mmmae_st.registry import TRANSFORMS
from mmmae_st.uncut_clips import clip_shape

Grid = tuple[int, int, int]

TUBE_RULES = ('floor', 'ceil', 'tokens')


def num_keep(total: int, ratio: float) -> int:
    """How many of ``total`` are kept, floor(total * (1 - ratio)); 156 of 1568 at 0.9.

    1 - 0.9 is less than 0.1 in floating point: what lacks a millionth of a token counts as whole.
    At least one is removed.

    Raises:
        ValueError: None would be kept.
    """
    keep = min(math.floor(total * (1 - ratio) + 1e-6), total - 1)
    if keep == 0:
        raise ValueError(f'ratio {ratio} keeps none of {total}; choose a smaller ratio')
    return keep


def draw_random(grid: Grid, ratio: float, rng: np.random.Generator) -> np.ndarray:
    """Spacetime-agnostic: any tokens. K = floor(t*h*w * (1 - ratio))."""
    total = int(np.prod(grid))
    return np.sort(rng.permutation(total)[: num_keep(total, ratio)])


def draw_tube(
    grid: Grid, ratio: float, rng: np.random.Generator, rule: str = 'floor'
) -> np.ndarray:
    """Space-only: the same positions in every time slice, K by a rule of :class:`TubeMasking`."""
    t, h, w = grid
    positions = rng.permutation(h * w)
    if rule == 'tokens':
        whole, rest = divmod(num_keep(t * h * w, ratio), t)
    elif rule == 'ceil':
        whole, rest = min(math.ceil(h * w * (1 - ratio) - 1e-6), h * w - 1), 0
    else:
        whole, rest = num_keep(h * w, ratio), 0
    kept = np.zeros((t, h * w), bool)
    kept[:, positions[:whole]] = True
    if rest:
        kept[rng.permutation(t)[:rest], positions[whole]] = True
    return np.flatnonzero(kept)


def draw_frame(grid: Grid, ratio: float, rng: np.random.Generator) -> np.ndarray:
    """Time-only: whole time slices. K = floor(t * (1 - ratio)) * h * w."""
    t, h, w = grid
    slices = draw_random((t, 1, 1), ratio, rng)
    return (slices[:, None] * (h * w) + np.arange(h * w)).ravel()


def draw_block(grid: Grid, ratio: float, rng: np.random.Generator) -> np.ndarray:
    """Block-wise: boxes in spacetime are removed until floor(t*h*w * (1 - ratio)) are left.

    A box lasts 1 to t slices and covers 10 to 40 % of a slice at an aspect ratio of 1/3 to 3. Of
    the last box only the tokens that are still needed are removed, in order.
    """
    t, h, w = grid
    removed = np.zeros(grid, bool)
    left = removed.size - num_keep(removed.size, ratio)
    while left > 0:
        area, aspect = h * w * rng.uniform(0.1, 0.4), np.exp(rng.uniform(-1, 1) * np.log(3))
        lengths = (
            int(rng.integers(1, t + 1)),
            min(h, max(1, round(np.sqrt(area * aspect)))),
            min(w, max(1, round(np.sqrt(area / aspect)))),
        )
        corner = [int(rng.integers(side - n + 1)) for side, n in zip(grid, lengths, strict=True)]
        box = np.zeros(grid, bool)
        box[tuple(slice(c, c + n) for c, n in zip(corner, lengths, strict=True))] = True
        new = np.flatnonzero(box & ~removed)[:left]
        removed.flat[new] = True
        left -= len(new)
    return np.flatnonzero(~removed)


class BaseMasking(BaseTransform):
    """Adds ``ids_keep`` ((R, K) int64, sorted along K) and ``grid`` ((t, h, w) tokens).

    Args:
        ratio: Part of the tokens that is removed, in (0, 1). Defaults to 0.9.
        patch_size: Pixels along a side of a token. Defaults to 16.
        tubelet_size: Frames of a token. Defaults to 2.

    Raises:
        ValueError: ``ratio`` is out of range or keeps nothing; the clip is not divisible.
    """

    def __init__(self, ratio: float = 0.9, patch_size: int = 16, tubelet_size: int = 2) -> None:
        if not 0 < ratio < 1:
            raise ValueError(f'ratio must be within (0, 1), both ends excluded, got {ratio!r}')
        for name, value in dict(patch_size=patch_size, tubelet_size=tubelet_size).items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f'{name} must be an integer >= 1, got {value!r}')
        self.ratio = ratio
        self.patch_size = patch_size
        self.tubelet_size = tubelet_size

    @abstractmethod
    def draw(self, grid: Grid, rng: np.random.Generator) -> np.ndarray:
        """The kept tokens of one view: (K,) int64, sorted."""

    def transform(self, results: dict) -> dict:
        """Add ``ids_keep`` and ``grid``."""
        grid = token_grid(clip_shape(results['clips']), self.tubelet_size, self.patch_size)
        drawn = [self.draw(grid, rng) for rng in results['rngs']]
        if len({len(ids) for ids in drawn}) > 1:
            raise ValueError(
                f'{type(self).__name__}.draw must keep equally many tokens in every view, got '
                f'{[len(ids) for ids in drawn]}'
            )
        results['ids_keep'] = np.stack(drawn)
        results['grid'] = grid
        return results


@TRANSFORMS.register_module()
class RandomMasking(BaseMasking):
    """Remove any tokens: the paper's spacetime-agnostic sampling. See :class:`BaseMasking`."""

    def draw(self, grid: Grid, rng: np.random.Generator) -> np.ndarray:
        """The kept tokens of one view: (K,) int64, sorted."""
        return draw_random(grid, self.ratio, rng)


@TRANSFORMS.register_module()
class TubeMasking(BaseMasking):
    """Remove the same positions in every time slice (space-only).

    h*w * (1 - ratio) positions are rarely a whole number: 19.6 of 14 x 14 at 0.9. The codes
    differ in what becomes of the rest, and so in K for 8 slices:

    - ``'floor'``: rounded down to whole positions, 19 * 8 = 152 tokens;
    - ``'ceil'``: rounded up, 20 * 8 = 160 tokens (VideoMAE);
    - ``'tokens'``: as many tokens as random masking keeps, 156: 19 positions in every slice and
      one more in 4 of them, drawn at random (PySlowFast).

    Args:
        ratio: Part of the tokens that is removed, in (0, 1). Defaults to 0.9.
        patch_size: Pixels along a side of a token. Defaults to 16.
        tubelet_size: Frames of a token. Defaults to 2.
        rule: ``'floor'``, ``'ceil'`` or ``'tokens'``. Defaults to 'floor'.

    Raises:
        ValueError: As :class:`BaseMasking`, and for another rule.
    """

    def __init__(
        self,
        ratio: float = 0.9,
        patch_size: int = 16,
        tubelet_size: int = 2,
        rule: str = 'floor',
    ) -> None:
        super().__init__(ratio, patch_size, tubelet_size)
        if rule not in TUBE_RULES:
            raise ValueError(f'rule must be one of {TUBE_RULES}, got {rule!r}')
        self.rule = rule

    def draw(self, grid: Grid, rng: np.random.Generator) -> np.ndarray:
        """The kept tokens of one view: (K,) int64, sorted."""
        return draw_tube(grid, self.ratio, rng, self.rule)


@TRANSFORMS.register_module()
class FrameMasking(BaseMasking):
    """Remove whole time slices (time-only). See :class:`BaseMasking`."""

    def draw(self, grid: Grid, rng: np.random.Generator) -> np.ndarray:
        """The kept tokens of one view: (K,) int64, sorted."""
        return draw_frame(grid, self.ratio, rng)


@TRANSFORMS.register_module()
class BlockMasking(BaseMasking):
    """Remove boxes in spacetime (block-wise). See :class:`BaseMasking`."""

    def draw(self, grid: Grid, rng: np.random.Generator) -> np.ndarray:
        """The kept tokens of one view: (K,) int64, sorted."""
        return draw_block(grid, self.ratio, rng)
