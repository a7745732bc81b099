"""Measures of an autoencoder in training, on a few clips and without labels.

Dimensions: N videos, V clips of each, C channels, T H W frames and pixels, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmmae_st.evaluation.feature_measures import (
    effective_rank,
    lidar,
    pair_probe,
    pair_similarity,
    same_video_nearest,
    wasted_share,
)
from mmmae_st.evaluation.held_out import VideoClips
from mmmae_st.evaluation.trivial_losses import trivial_losses
from mmmae_st.models import SpatiotemporalMAE
from mmmae_st.patching import removed_ids

MIN_VIDEOS = 8
PROBES = dict(order='order of halves', arrow='arrow of time', speed='speed')


@dataclass(frozen=True)
class VideoOutputs:
    """What the model makes of the clips of one video; on the CPU.

    Attributes:
        index: Number of the video.
        features: (V, D) float32 by the version of the clips, see ``versions``.
        losses: The model's loss and those of ``trivial_losses``, means over the clips.
    """

    index: int
    features: dict[str, Tensor]
    losses: dict[str, float]


def versions(video_VCTHW: Tensor, tubelet_size: int) -> dict[str, tuple[Tensor, int]]:
    """Versions of clips that probes tell apart, each with the number of frames that are encoded.

    ``plain`` as it is; ``swapped``: the second half first; ``backward``; and, of half the length,
    ``slow``: the middle half of the frames, ``fast``: every second frame. The rest of those two
    is not encoded. They are missing where half a clip is no whole number of tubelets.
    """
    num_frames = video_VCTHW.shape[2]
    half = num_frames // 2
    found = dict(
        plain=(video_VCTHW, num_frames),
        swapped=(video_VCTHW.roll(-half, dims=2), num_frames),
        backward=(video_VCTHW.flip(2), num_frames),
    )
    if half and num_frames % 2 == 0 and half % tubelet_size == 0:
        quarter = half // 2
        for name, frames in dict(
            slow=video_VCTHW[:, :, quarter : quarter + half], fast=video_VCTHW[:, :, ::2]
        ).items():
            padded = torch.zeros_like(video_VCTHW)
            padded[:, :, :half] = frames
            found[name] = (padded, half)
    return found


@torch.no_grad()
def pooled_features(model: SpatiotemporalMAE, video: Tensor, num_frames: int) -> Tensor:
    """Means (V, D) float32 on the CPU of the patch tokens of the first frames of clips."""
    backbone = model.backbone
    t, h, w = backbone.token_grid(video)
    slices = num_frames // backbone.tubelet_size
    ids = torch.arange(slices * h * w, device=video.device).expand(len(video), -1)
    tokens = backbone(video, None if slices == t else ids)
    tokens = tokens if backbone.cls_token is None else tokens[:, 1:]
    return tokens.float().mean(dim=1).cpu()


@torch.no_grad()
def outputs_of(model: SpatiotemporalMAE, clips: VideoClips, num_clips: int) -> VideoOutputs:
    """Encode the versions of a video's clips and take the losses.

    Args:
        model: In eval mode; the caller chooses the precision.
        clips: The video's clips.
        num_clips: V.
    """
    batch = model.data_preprocessor(clips.batch)
    video, ids_keep = batch['inputs'][:num_clips], batch['ids_keep'][:num_clips]
    grid = model.backbone.token_grid(video)
    if 'ids_predict' in batch:
        ids_predict = batch['ids_predict'][:num_clips]
    else:
        ids_predict = removed_ids(ids_keep, grid[0] * grid[1] * grid[2])
    losses = dict(loss=float(model.loss(video, ids_keep, ids_predict)['loss']))
    trivial = trivial_losses(model.head, video, ids_keep, ids_predict, grid)
    losses.update({f'loss_{name}': loss for name, loss in trivial.items()})
    found = versions(video, model.backbone.tubelet_size)
    features = {name: pooled_features(model, *version) for name, version in found.items()}
    return VideoOutputs(clips.index, features, losses)


def measures_of(outputs: Sequence[VideoOutputs]) -> dict[str, float]:
    """All measures by name; those of features are missing where one is not finite.

    ``loss`` and the trivial ``loss_mean``, ``loss_nearest``, ``loss_previous``; ``rank`` and
    ``rank_centred`` (the mean feature taken off), ``lidar``, ``wasted`` and ``similarity``;
    ``retrieval``; the probes ``order``, ``arrow`` and ``speed``. Shares are in [0, 1].

    Args:
        outputs: Of the videos, in any order.

    Raises:
        ValueError: With less than ``MIN_VIDEOS`` videos.
    """
    if len(outputs) < MIN_VIDEOS:
        raise ValueError(f'measuring needs {MIN_VIDEOS} readable videos, got {len(outputs)}')
    outputs = sorted(outputs, key=lambda output: output.index)
    measures = {
        name: sum(output.losses[name] for output in outputs) / len(outputs)
        for name in outputs[0].losses
    }
    features = {
        name: torch.stack([output.features[name] for output in outputs])
        for name in outputs[0].features
    }
    if not all(values.isfinite().all() for values in features.values()):
        return measures
    plain_NVD = features['plain']
    plain = plain_NVD.flatten(0, 1)
    measures.update(
        rank=effective_rank(plain),
        rank_centred=effective_rank(plain - plain.mean(dim=0)),
        lidar=lidar(plain_NVD),
        wasted=wasted_share(plain),
        similarity=pair_similarity(plain_NVD),
        retrieval=same_video_nearest(plain_NVD),
        order=pair_probe(plain_NVD, features['swapped']),
        arrow=pair_probe(plain_NVD, features['backward']),
    )
    if 'slow' in features:
        measures['speed'] = pair_probe(features['slow'], features['fast'])
    return measures
