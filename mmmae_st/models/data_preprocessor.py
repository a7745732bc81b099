"""From collated uint8 clips to a normalised batch on the device."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmmae_st.registry import MODELS
from mmmae_st.uncut_clips import UncutClips


class NormalizingPreprocessor(BaseDataPreprocessor):
    """Holds what clips are normalised with, as buffers ``mean`` and ``std`` (1, C, 1, 1, 1).

    Args:
        mean: Channel means, in the scale of the input (0 to 255).
        std: Channel deviations, likewise. The defaults are the paper's 0.45 and 0.225.
        non_blocking: Copy to a CUDA device without waiting (needs pinned memory to overlap).

    Raises:
        ValueError: If ``mean`` and ``std`` differ in length, or the deviations are not positive or
            in the scale of 0 to 1.
    """

    def __init__(
        self,
        mean: Sequence[float] = (114.75, 114.75, 114.75),
        std: Sequence[float] = (57.375, 57.375, 57.375),
        non_blocking: bool = True,
    ) -> None:
        super().__init__()
        self.non_blocking = non_blocking
        if len(mean) != len(std):
            raise ValueError(f'mean and std must be equally long, got {mean} and {std}')
        if min(std) <= 0:
            raise ValueError(f'std must be positive, got {std}')
        if max(std) < 1:
            raise ValueError(
                f'mean and std are in the scale of the frames, 0 to 255, got {mean} and {std}: '
                'multiply both by 255'
            )
        self.register_buffer('mean', torch.tensor(mean).view(1, -1, 1, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(1, -1, 1, 1, 1), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the buffers are; mmengine's follows a ``BaseModel`` alone, no other module."""
        return self.mean.device

    def cast_data(self, data: Any) -> Any:
        """Tensors on the device; on Apple's, a copy not waited for may read what has been freed.

        See https://github.com/pytorch/pytorch/issues/189690.
        """
        self._non_blocking = self.non_blocking and self.device.type == 'cuda'
        return super().cast_data(data)

    def copy(self, tensors: list[Tensor]) -> list[Tensor]:
        """Tensors on the device, copied there while it is still at work on what came before."""
        if self.device.type != 'cuda':
            return self.cast_data(tensors)
        stream = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(copy_stream(self.device)):
            copies = self.cast_data(tensors)
        stream.wait_stream(copy_stream(self.device))
        for copy in copies:
            copy.record_stream(stream)  # its memory is not given away before it has been used
        return copies


@functools.cache
def copy_stream(device: torch.device) -> torch.cuda.Stream:
    """The stream of a device that batches are copied on."""
    return torch.cuda.Stream(device)


@MODELS.register_module()
class ClipDataPreprocessor(NormalizingPreprocessor):
    """Moves clips to the device as uint8, merges the views of the videos, normalises."""

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Batch the output of ``PackClips`` collated by mmengine's ``pseudo_collate``.

        Args:
            data: ``inputs``, a list of B uint8 tensors (R, C, T, H, W) with R views of a video
                each, or of :class:`UncutClips`, which are cut here; ``ids_keep`` and
                ``ids_predict``, lists of int64 tensors (R, K) (optional); ``data_samples``, a list
                of B data elements (optional).
            training: Not used.

        Returns:
            The same keys with ``inputs`` (B*R, C, T, H, W) float32 normalised, ids (B*R, K).

        Raises:
            ValueError: If the clips of the batch differ in size.
        """
        batch = dict(data)
        shapes = {tuple(clips.shape[1:]) for clips in data['inputs']}
        if len(shapes) > 1:
            raise ValueError(
                f'clips of one batch must be of one size (C, T, H, W), got {sorted(shapes)}: '
                'end the pipeline with a crop or a resize to a fixed size'
            )
        batch['inputs'] = torch.cat(self.pixels(data['inputs']))
        for key in ('ids_keep', 'ids_predict'):
            if key in data:
                batch[key] = torch.cat(self.copy(list(data[key])))
        batch['inputs'] = (batch['inputs'].float() - self.mean) / self.std
        return batch

    def pixels(self, videos: Sequence[Tensor | UncutClips]) -> list[Tensor]:
        """Clips on the device, each (R, C, T, H, W) uint8; those not cut yet are cut there."""
        tensors = [
            [video.planes.luma, video.planes.chroma] if isinstance(video, UncutClips) else [video]
            for video in videos
        ]
        copies = iter(self.copy([tensor for each in tensors for tensor in each]))
        return [
            video.cut(video.planes.map(lambda _: next(copies)))
            if isinstance(video, UncutClips)
            else next(copies)
            for video in videos
        ]

    def denormalize(self, clips: Tensor) -> Tensor:
        """Normalised clips (B, C, T, H, W) back to pixel values in [0, 1], not clamped."""
        return (clips * self.std + self.mean) / 255.0


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
