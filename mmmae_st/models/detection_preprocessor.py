"""Clips of any size to a normalised batch of whole patches, for action detection."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from mmmae_st.registry import MODELS

from .data_preprocessor import NormalizingPreprocessor


@MODELS.register_module()
class DetectionDataPreprocessor(NormalizingPreprocessor):
    """Moves clips to the device as uint8, normalises, and pads them to a multiple of the patch.

    A test frame of AVA keeps its aspect, 256 x 341 for instance, and does not divide into patches.
    It is padded on the right and below only, so boxes in pixels stay where they are;
    ``img_shape`` of the data samples, by which boxes are made relative, is left as it is. The
    padding is zero after normalisation, that is the mean colour.

    Args:
        mean: Channel means, in the scale of the input (0 to 255).
        std: Channel deviations, likewise. The defaults are the paper's 0.45 and 0.225.
        patch_size: Height and width are padded to multiples of this.
        non_blocking: Copy to the device without waiting (needs pinned memory to overlap).

    Raises:
        ValueError: As :class:`NormalizingPreprocessor`, and if ``patch_size`` is less than 1.
    """

    def __init__(
        self,
        mean: Sequence[float] = (114.75, 114.75, 114.75),
        std: Sequence[float] = (57.375, 57.375, 57.375),
        patch_size: int = 16,
        non_blocking: bool = True,
    ) -> None:
        super().__init__(mean, std, non_blocking)
        if patch_size < 1:
            raise ValueError(f'patch_size must be at least 1, got {patch_size}')
        self.patch_size = patch_size

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Batch the output of mmaction2's ``PackActionInputs`` collated by ``pseudo_collate``.

        Args:
            data: ``inputs``, a list of B uint8 tensors (1, C, T, H, W) of one length T; H and W
                may differ. ``data_samples``, a list of B data elements.
            training: Not used.

        Returns:
            The same keys with ``inputs`` (B, C, T, H', W') float32, where H' and W' are the
            largest height and width, rounded up to whole patches.

        Raises:
            ValueError: If there is not one clip for each data sample.
        """
        batch = dict(self.cast_data(data))
        if any(clip.ndim != 5 or len(clip) != 1 for clip in batch['inputs']):
            shapes = [tuple(clip.shape) for clip in batch['inputs']]
            raise ValueError(
                f'detection takes one clip (1, C, T, H, W) a sample, got {shapes}: end the '
                "pipeline with FormatShape(input_format='NCTHW', collapse=False)"
            )
        clips = [(clip.float() - self.mean) / self.std for clip in batch['inputs']]
        height, width = (
            self.patch_size * math.ceil(max(clip.shape[dim] for clip in clips) / self.patch_size)
            for dim in (3, 4)
        )
        batch['inputs'] = torch.cat(
            [F.pad(clip, (0, width - clip.shape[4], 0, height - clip.shape[3])) for clip in clips]
        )
        return batch
