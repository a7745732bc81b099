"""Features of videos: construct once, call with paths, folders or arrays.

Dimensions: B clips, T H W frames and pixels, t h w the token grid, L = t*h*w tokens, D width.
"""

from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmmae_st.apis.features import principal_colours
from mmmae_st.apis.inputs import (
    InputClips,
    Inputs,
    Step,
    find_inputs,
    middle_clip,
    progress_bar,
    square_size,
    square_steps,
    to_cuda_if_any,
)
from mmmae_st.apis.load import load_encoder
from mmmae_st.datasets.transforms import LoadClips, PackClips
from mmmae_st.fileio.atomic_file import written_whole
from mmmae_st.models import ClipDataPreprocessor, SpacetimeViT, SpatiotemporalMAE
from mmmae_st.precision import Amp
from mmmae_st.visualization import save_png
from mmmae_st.visualization.show import show_picture
from mmmae_st.visualization.token_maps import feature_map_figure

OUTPUTS = ('pooled', 'spatial', 'tokens')
EncoderSource = str | Path | SpatiotemporalMAE | tuple[SpacetimeViT, ClipDataPreprocessor]


class VideoFeatures(TypedDict):
    """What is found for one video.

    Attributes:
        name: See :class:`VideoInput`.
        path: Path of the video.
        features: float32, see :class:`ClipEncoder`; NaN for a video that cannot be read.
        error: Why it cannot be read, or None.
    """

    name: str
    path: str
    features: np.ndarray
    error: str | None


class ClipEncoder(nn.Module):
    """Clips to features, at a chosen block.

    Args:
        source: Checkpoint with an encoder, a masked autoencoder, or what ``load_encoder`` gives.
        config: The config of the checkpoint, where the file does not hold it.
        output: ``'pooled'`` (B, D), the norm of the mean of the patch tokens; ``'spatial'``
            (B, h, w, D), the mean over time of the normed tokens; ``'tokens'`` (B, t, h, w, D).
        layer: Number of the block whose tokens are taken; negative ones count from the last.
        amp: bfloat16 autocast where the hardware has it; ``'force'`` everywhere.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If it does not say what it belongs to, or an argument is unknown.
    """

    def __init__(
        self,
        source: EncoderSource,
        config: Config | None = None,
        output: str = 'pooled',
        layer: int = -1,
        amp: Amp = False,
    ) -> None:
        super().__init__()
        if output not in OUTPUTS:
            raise ValueError(f'output must be one of {OUTPUTS}, got {output!r}')
        if isinstance(source, SpatiotemporalMAE):
            encoder, preprocessor = source.backbone, source.data_preprocessor
        elif isinstance(source, tuple):
            encoder, preprocessor = source
        else:
            encoder, preprocessor = load_encoder(source, config)
        depth = len(encoder.blocks)
        if not -depth <= layer < depth:
            raise ValueError(f'layer must be in [{-depth}, {depth - 1}], got {layer}')
        self.encoder: SpacetimeViT = encoder
        self.preprocessor: ClipDataPreprocessor = preprocessor
        self.output = output
        self.layer = layer
        self.amp = amp
        self.eval()

    @torch.inference_mode()
    def forward(self, clips: list[Tensor]) -> Tensor:
        """Features, float32, of a list of uint8 RGB clips (R, 3, T, H, W); B is the sum of R."""
        video = self.preprocessor(dict(inputs=clips))['inputs']
        (tokens,) = self.encoder.forward_intermediates(video, [self.layer], intermediates_only=True)
        if self.output == 'pooled':
            return self.encoder.norm(tokens.mean(dim=1))
        tokens = self.encoder.norm(tokens).unflatten(1, self.encoder.token_grid(video))
        return tokens.mean(dim=1) if self.output == 'spatial' else tokens


class FeatureInferencer:
    """Features of whole videos: one vector or map each.

    Args:
        model: Checkpoint with an encoder (file or address), a masked autoencoder, or what
            ``load_encoder`` gives.
        config: The config of the checkpoint, where the file does not hold it.
        device: Where to compute; by default the GPU if there is one.
        output: ``'pooled'``, ``'spatial'`` or ``'tokens'``, see :class:`ClipEncoder`.
        layer: Number of the block, the last by default.
        views: Clips spread over each file; their features are averaged.
        frame_interval: Frames from one to the next, at 30 a second.
        amp: bfloat16 autocast where the hardware has it; ``'force'`` everywhere.
        show_progress: Show a bar (on a terminal only).

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If it cannot be used, or an argument is out of range.
    """

    def __init__(
        self,
        model: EncoderSource,
        config: Config | None = None,
        device: str | torch.device | None = None,
        output: str = 'pooled',
        layer: int = -1,
        views: int = 1,
        frame_interval: int = 4,
        amp: Amp = False,
        show_progress: bool = True,
    ) -> None:
        self.encoder = ClipEncoder(model, config, output, layer, amp).to(to_cuda_if_any(device))
        if views < 1:
            raise ValueError(f'views must be at least 1, got {views}')
        num_frames, size = square_size(self.encoder.encoder)
        self.load = LoadClips(
            num_frames, frame_interval, views, sampling='uniform', unreadable='blank'
        )
        self.steps: list[Step] = [*square_steps(size), PackClips()]
        self.show_progress = show_progress

    def __call__(
        self,
        inputs: Inputs,
        batch_size: int = 8,
        num_workers: int = 0,
        out_dir: str | Path | None = None,
        show: bool = False,
    ) -> list[VideoFeatures]:
        """Features of videos, in the order given; a folder's are sorted by name.

        A video that cannot be read ends nothing: it has NaN and an ``error``.

        Args:
            inputs: A path, a folder, frames (T, H, W, 3) uint8 RGB as array or tensor, or a list.
                Frames are one clip; of more or fewer than the encoder takes, as many are taken at
                equal distances.
            batch_size: Videos at a time.
            num_workers: Processes that decode; 0 for this one.
            out_dir: Folder for a file ``<name>.npy`` of each video; none by default.
            show: Show the middle clip of each video with its features as colours, in a notebook
                below the cell; with ``out_dir`` also written to ``<name>.png``. For ``'spatial'``
                and ``'tokens'``: one vector a video is no picture.

        Raises:
            FileNotFoundError: If the only path does not exist.
            ValueError: If the inputs are of another kind, or there is nothing to show.
        """
        if show and self.encoder.output == 'pooled':
            raise ValueError("show needs output='spatial' or 'tokens', got output='pooled'")
        videos = find_inputs(inputs)
        chosen = InputClips(videos, self.load, self.steps)
        found: list[VideoFeatures] = []
        with progress_bar('features', 'video', len(videos), self.show_progress) as bar:
            for batch in chosen.batches(batch_size, num_workers):
                views = [len(clips) for clips in batch['inputs']]
                parts = self.encoder(batch['inputs']).cpu().split(views)
                for part, clips, sample in zip(
                    parts, batch['inputs'], batch['data_samples'], strict=True
                ):
                    video = videos[len(found)]
                    failure = sample.failures[0][1] if sample.failures else None
                    features = part.mean(dim=0).numpy()
                    if failure is not None:
                        features = np.full_like(features, np.nan)
                    elif out_dir is not None:
                        with written_whole(Path(out_dir, f'{video.name}.npy')) as temporary:
                            np.save(temporary, features)
                    found.append(
                        VideoFeatures(
                            name=video.name, path=video.path, features=features, error=failure
                        )
                    )
                    if show and failure is None:
                        picture = _picture(clips, part)
                        show_picture(picture)
                        if out_dir is not None:
                            save_png(picture, Path(out_dir, f'{video.name}.png'))
                    bar.update()
        return found


def _picture(clips: Tensor, features: Tensor) -> np.ndarray:
    """The middle one of clips (R, 3, T, H, W) and its maps, of (R, h, w, D) or (R, t, h, w, D)."""
    maps = features[len(features) // 2]
    maps = maps if maps.ndim == 4 else maps[None]
    return feature_map_figure(middle_clip(clips), principal_colours(maps[None])[0].numpy())
