"""timm's image augmentations for clips: one draw for a clip, the same in all its frames.

Dimensions: R clips, T frames, h w pixels, C = 3 channels (RGB).
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from PIL import Image
from timm.data.auto_augment import rand_augment_transform
from timm.data.random_erasing import RandomErasing

from mmmae_st.registry import TRANSFORMS

INTERPOLATIONS = {
    'bilinear': Image.Resampling.BILINEAR,
    'bicubic': Image.Resampling.BICUBIC,
}


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Seed the generators that timm draws from; what they held comes back afterwards."""
    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def draw_seed(rng: np.random.Generator) -> int:
    """A seed that every generator accepts."""
    return int(rng.integers(2**32))


@TRANSFORMS.register_module()
class ClipRandAugment(BaseTransform):
    """timm's RandAugment with the same operations and strengths for all frames of a clip.

    Operations that look at the histogram (equalise, contrast) look at each frame's own.

    Args:
        policy: timm's description. Defaults to ``'rand-m7-mstd0.5-inc1'``: 2 operations with
            probability 0.5 each, strength 7 with deviation 0.5, stronger the greater it is.
        interpolation: ``'bicubic'`` (default) or ``'bilinear'``.

    Raises:
        ValueError: A bad argument.
    """

    def __init__(
        self, policy: str = 'rand-m7-mstd0.5-inc1', interpolation: str = 'bicubic'
    ) -> None:
        if interpolation not in INTERPOLATIONS:
            raise ValueError(
                f'interpolation must be one of {list(INTERPOLATIONS)}, got {interpolation!r}'
            )
        try:
            self.augment = rand_augment_transform(
                policy, dict(interpolation=INTERPOLATIONS[interpolation])
            )
        except (AssertionError, ValueError) as error:
            raise ValueError(
                f'policy must be a RandAugment description of timm such as '
                f"'rand-m7-mstd0.5-inc1', got {policy!r}"
            ) from error

    def transform(self, results: dict) -> dict:
        """Replace ``clips``: R lists of T frames (h, w, 3) uint8."""
        clips = []
        for clip, rng in zip(results['clips'], results['rngs'], strict=True):
            seed = draw_seed(rng)
            frames = []
            for frame in clip:
                with global_seed(seed):
                    frames.append(np.asarray(self.augment(Image.fromarray(frame))))
            clips.append(frames)
        results['clips'] = clips
        return results


@TRANSFORMS.register_module()
class ClipRandomErasing(BaseTransform):
    """timm's random erasing: the same box in all frames of a clip, filled with noise.

    Each pixel of each frame has its own noise, normal and of unit deviation once the preprocessor
    has normalised it, but cut off where uint8 ends.

    Args:
        prob: Probability that a clip loses a box, in [0, 1]. Defaults to 0.25.
        mean: Mean that the data preprocessor subtracts, in [0, 255].
        std: Deviation that it divides by.

    Raises:
        ValueError: A bad argument.
    """

    def __init__(self, prob: float = 0.25, mean: float = 114.75, std: float = 57.375) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must be within [0, 1], got {prob!r}')
        if not (0 <= mean <= 255 and std > 0):
            raise ValueError(
                f'mean must be within [0, 255] and std positive, got {mean!r} and {std!r}'
            )
        self.prob = prob
        self.mean = mean
        self.std = std
        self.erase = RandomErasing(probability=1.0, mode='const', device='cpu')

    def transform(self, results: dict) -> dict:
        """Replace the clips that are erased."""
        clips = list(results['clips'])
        for view, rng in enumerate(results['rngs']):
            if rng.random() < self.prob:
                clips[view] = self._erase_box(np.array(clips[view]), rng)
        results['clips'] = clips
        return results

    def _erase_box(self, clip_ThwC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        canvas = torch.ones(1, *clip_ThwC.shape[1:3])
        with global_seed(draw_seed(rng)):
            self.erase(canvas)
        rows, columns = (canvas[0] == 0).nonzero(as_tuple=True)
        if len(rows):  # timm gives up after ten boxes that do not fit
            box = np.s_[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            noise = rng.standard_normal(clip_ThwC[box].shape, np.float32) * self.std + self.mean
            clip_ThwC[box] = noise.round().clip(0, 255)
        return clip_ThwC
