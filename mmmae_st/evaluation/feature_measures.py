"""What features of clips tell without labels. Pure functions; nothing random.

Dimensions: N videos, V clips of each, D width; S samples (clips, or pairs of clips).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

DEAD = 1e-3  # of the features' root mean square; a direction that varies less is dead
IDENTICAL = 0.99  # correlation from which on two directions say the same
LIDAR_RIDGE = 1e-4  # delta of arXiv 2312.04000
PROBE_RIDGE = 0.1  # of the mean square of the differences
NUM_FOLDS = 4


def effective_rank(features_SD: Tensor) -> float:
    """RankMe (arXiv 2210.02885): exp of the entropy of the singular values, in [1, min(S, D)]."""
    return _exp_entropy(torch.linalg.svdvals(features_SD.double()))


def lidar(features_NVD: Tensor) -> float:
    """LiDAR (arXiv 2312.04000) with the clips of a video as a class, in [1, min(N - 1, D)].

    The effective rank of what tells videos apart, measured in units of how much the clips of a
    video differ.

    Raises:
        ValueError: With less than two clips of a video.
    """
    _, num_clips, width = features_NVD.shape
    if num_clips < 2:
        raise ValueError(f'LiDAR needs two clips or more of each video, got {num_clips}')
    features = features_NVD.double()
    means = features.mean(dim=1)
    between = torch.cov(means.T)
    rest = (features - means[:, None]).flatten(0, 1)
    within = rest.T @ rest / len(rest) + LIDAR_RIDGE * torch.eye(width, dtype=torch.float64)
    values, vectors = torch.linalg.eigh(within)
    whiten = vectors * values.clamp(min=LIDAR_RIDGE).rsqrt()
    return _exp_entropy(torch.linalg.eigvalsh(whiten.T @ between @ whiten).clamp(min=0))


def wasted_share(features_SD: Tensor) -> float:
    """Share of the D directions that are dead, or say what an earlier one says, in [0, 1]."""
    features = features_SD.double()
    centred = features - features.mean(dim=0)
    spread = centred.square().mean(dim=0).sqrt()
    alive = spread > DEAD * features.square().mean().sqrt()
    unit = F.normalize(centred[:, alive], dim=0)
    repeats = ((unit.T @ unit).abs().triu(diagonal=1) > IDENTICAL).any(dim=0)
    return float(1 - (alive.sum() - repeats.sum()) / features.shape[1])


def pair_similarity(features_NVD: Tensor) -> float:
    """Mean cosine of clips of different videos; 1 where all features are alike."""
    num_videos, num_clips, _ = features_NVD.shape
    unit = F.normalize(features_NVD.double(), dim=2).flatten(0, 1)
    cosines = (unit @ unit.T).unflatten(0, (num_videos, num_clips)).unflatten(2, (-1, num_clips))
    different = ~torch.eye(num_videos, dtype=torch.bool)
    return float(cosines.mean(dim=(1, 3))[different].mean())


def same_video_nearest(features_NVD: Tensor) -> float:
    """Share of the clips whose nearest other one is of the same video, in [0, 1].

    By the cosine, after the mean of all features is taken off; chance is (V - 1) / (N * V - 1).
    """
    num_videos, num_clips, _ = features_NVD.shape
    features = features_NVD.double().flatten(0, 1)
    unit = F.normalize(features - features.mean(dim=0), dim=1)
    cosines = (unit @ unit.T).fill_diagonal_(-torch.inf)
    video = torch.arange(num_videos).repeat_interleave(num_clips)
    return float((video[cosines.argmax(dim=1)] == video).double().mean())


def pair_probe(one_NVD: Tensor, other_NVD: Tensor) -> float:
    """How often a linear probe tells which is which of two versions of a clip; chance is 0.5.

    A least-squares direction, with a ridge, is fitted to the differences of three quarters of the
    videos, and asked about those of the others, in turn: the content of a clip, which both versions
    have, does not count.

    Args:
        one_NVD: Features of clips.
        other_NVD: Features of their other versions, in reversed time for instance.
    """
    scale = one_NVD.double().flatten(0, 1).std(dim=0).clamp(min=1e-12)
    differences = (one_NVD.double() - other_NVD.double()) / scale
    right = torch.zeros((), dtype=torch.float64)
    fold = torch.arange(len(differences)) % NUM_FOLDS
    for number in range(NUM_FOLDS):
        train = differences[fold != number].flatten(0, 1)
        gram = train @ train.T
        ridge = PROBE_RIDGE * gram.diagonal().mean().clamp(min=1e-12)
        ones = torch.ones(len(train), dtype=torch.float64)
        direction = train.T @ torch.linalg.solve(gram + ridge * torch.eye(len(train)), ones)
        scores = differences[fold == number].flatten(0, 1) @ direction
        right += (scores.sign() + 1).sum() / 2  # a draw is half right
    return float(right / differences.shape[:2].numel())


def _exp_entropy(values: Tensor) -> float:
    shares = values / values.sum().clamp(min=1e-30) + 1e-12
    return float(torch.exp(-(shares * shares.log()).sum()))
