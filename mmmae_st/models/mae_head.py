"""Prediction layer, target and loss.

Dimensions: B clips, C channels, T H W frames and pixels, M predicted patches, D decoder width,
V values of a target patch.
"""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmmae_st.models import hog
from mmmae_st.models.layers import init_transformer, require_positive
from mmmae_st.patching import select_patches, target_frames
from mmmae_st.registry import MODELS

TARGETS = ('normalized_pixels', 'pixels', 'hog')
FRAME_RULES = ('linspace', 'stride', 'all')


@MODELS.register_module()
class MAEHead(BaseModule):
    """Predicts patches and compares them with the target, in float32.

    A target patch has its values in the order (u, p, q, c): frame, row, column, channel last. Of
    HOG it is (c, orientation, u, p, q), with p and q counting cells, as in PySlowFast.

    Args:
        embed_dims: Width D of the decoder.
        patch_size: Height and width of a patch in pixels.
        tubelet_size: Frames of a patch.
        in_channels: Channels of the clip.
        target: ``'normalized_pixels'`` (each patch less its mean, over its deviation),
            ``'pixels'``, or ``'hog'`` (9 orientations of 8x8 cells, each channel), see ``hog``.
        frames: Which frames of a tubelet are predicted: one by rule ``'linspace'`` (mae_st) or
            ``'stride'`` (PySlowFast), see ``target_frames``; or ``'all'``.
        init_cfg: mmengine initialisation config.

    Raises:
        ValueError: For an unknown or impossible argument, naming it.
    """

    def __init__(
        self,
        embed_dims: int = 512,
        patch_size: int = 16,
        tubelet_size: int = 2,
        in_channels: int = 3,
        target: str = 'normalized_pixels',
        frames: str = 'linspace',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        require_positive(
            embed_dims=embed_dims,
            patch_size=patch_size,
            tubelet_size=tubelet_size,
            in_channels=in_channels,
        )
        if target not in TARGETS:
            raise ValueError(f'target must be one of {TARGETS}, got {target!r}')
        if frames not in FRAME_RULES:
            raise ValueError(f'frames must be one of {FRAME_RULES}, got {frames!r}')
        if target == 'hog' and patch_size % hog.CELL:
            raise ValueError(
                f"target='hog' needs a patch_size divisible by {hog.CELL}, got {patch_size}"
            )
        self.tubelet_size = tubelet_size
        self.patch_size = patch_size
        self.target = target
        self.frames = frames
        self.target_tubelet = tubelet_size if frames == 'all' else 1
        self.num_pixels = self.target_tubelet * patch_size**2 * in_channels
        pixels = (patch_size // hog.CELL) ** 2 * hog.BINS if target == 'hog' else patch_size**2
        self.pred = nn.Linear(embed_dims, self.target_tubelet * pixels * in_channels)
        init_transformer(self)

    @property
    def predicts_pixels(self) -> bool:
        """Whether predictions can be drawn; a derived head may predict something else."""
        return self.target != 'hog' and self.pred.out_features == self.num_pixels

    def forward(self, features: Tensor) -> Tensor:
        """Predictions (B, M, V) from decoder features (B, M, D)."""
        return self.pred(features)

    def select_frames(self, video: Tensor) -> Tensor:
        """The frames of a clip (B, C, T, H, W) that are predicted: (B, C, T', H, W)."""
        if self.frames == 'all':
            return video
        # By numbers: a tensor of indices would have to be copied to the device, which waits for it.
        frames = target_frames(video.shape[2], self.tubelet_size, self.frames)
        return torch.stack([video[:, :, frame] for frame in frames], dim=2)

    def pixel_patches(self, video: Tensor, ids: Tensor | None) -> Tensor:
        """Raw pixels (B, M, V) float32 of the predicted frames of the named patches."""
        patches = select_patches(
            self.select_frames(video), ids, self.target_tubelet, self.patch_size
        )
        return patches.movedim(2, -1).flatten(2).float()

    @torch.no_grad()
    def make_target(self, video: Tensor, ids: Tensor | None) -> Tensor:
        """Targets (B, M, V) float32 for the named patches of normalised clips (B, C, T, H, W)."""
        if self.target == 'hog':
            return self._hog_patches(video, ids)
        patches = self.pixel_patches(video, ids)
        if self.target == 'normalized_pixels':
            mean, scale = patch_statistics(patches)
            patches = (patches - mean) / scale
        return patches

    def loss(self, pred: Tensor, video: Tensor, ids: Tensor) -> Tensor:
        """Mean squared error of predictions (B, M, V) for the named patches, per clip: (B,).

        Each clip has as many removed patches as the next, so the mean over clips is the
        published ``(loss * mask).sum() / mask.sum()``.
        """
        with torch.autocast(pred.device.type, enabled=False):
            return (pred.float() - self.make_target(video, ids)).square().mean(dim=(1, 2))

    def to_pixels(self, pred: Tensor, video: Tensor, ids: Tensor | None) -> Tensor:
        """Predictions (B, M, V) as pixels in the scale of the normalised clip.

        For normalised targets the mean and deviation of the TRUE patch are put back: colour and
        contrast then come from the ground truth, only the structure from the model.

        Raises:
            ValueError: If the target is not made of pixels.
        """
        if not self.predicts_pixels:
            raise ValueError(
                f'{type(self).__name__} with target={self.target!r} does not predict pixels'
            )
        if self.target == 'pixels':
            return pred.float()
        mean, scale = patch_statistics(self.pixel_patches(video, ids))
        return pred.float() * scale + mean

    def _hog_patches(self, video: Tensor, ids: Tensor | None) -> Tensor:
        frames = self.select_frames(video).float()
        batch, _, num_frames = frames.shape[:3]
        cells = hog.hog(frames.transpose(1, 2).flatten(0, 1)).flatten(1, 2)
        cells = cells.unflatten(0, (batch, num_frames)).transpose(1, 2)
        return select_patches(cells, ids, self.target_tubelet, self.patch_size // hog.CELL).flatten(
            2
        )


def patch_statistics(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (..., 1) over all values of a patch, channels together.

    The variance is the unbiased one and 1e-6 is added to it, as published.
    """
    var, mean = torch.var_mean(patches, dim=-1, keepdim=True)
    return mean, (var + 1e-6).sqrt()
