"""Nearest-neighbour classification of frozen features."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmmae_st.evaluation.frozen_features import Features


@torch.inference_mode()
def knn_accuracy(
    train: Features,
    test: Features,
    num_neighbors: Sequence[int] = (10, 20, 100, 200),
    temperature: float = 0.07,
    device: str | torch.device = 'cpu',
    chunk: int = 256,
) -> dict[int, tuple[float, float]]:
    """Weighted k-NN on pooled features: votes of exp(cosine / temperature) (arXiv 1805.01978).

    Args:
        train: Features that vote; the views of a video are averaged.
        test: Features to classify, likewise.
        num_neighbors: Numbers of neighbours to try; at most the number of training videos.
        temperature: Smaller ones give near neighbours more weight.
        device: Where to compute.
        chunk: Test videos at a time.

    Returns:
        (top-1, top-5) by number of neighbours, in [0, 1].

    Raises:
        ValueError: If a number of neighbours or the temperature is out of range.
    """
    if not num_neighbors or not 1 <= min(num_neighbors) <= max(num_neighbors) <= len(train.labels):
        raise ValueError(
            f'num_neighbors must be within [1, {len(train.labels)}], the training videos, '
            f'got {tuple(num_neighbors)}'
        )
    if temperature <= 0:
        raise ValueError(f'temperature must be positive, got {temperature}')
    bank, queries = (_normalised(features, device) for features in (train, test))
    labels = torch.from_numpy(train.labels).to(device)
    truth = torch.from_numpy(test.labels).to(device)
    num_classes = int(max(labels.max(), truth.max())) + 1
    hits = {k: torch.zeros(2) for k in num_neighbors}
    for start in range(0, len(queries), chunk):
        query, own = queries[start : start + chunk], truth[start : start + chunk]
        similarity, neighbors = (query @ bank.T).topk(max(num_neighbors), dim=1)
        votes = F.one_hot(labels[neighbors], num_classes) * (
            (similarity - 1) / temperature
        ).exp().unsqueeze(2)
        for k in num_neighbors:
            hits[k] += count_hits(votes[:, :k].sum(1), own)
    return {k: tuple((found / len(queries)).tolist()) for k, found in hits.items()}


def count_hits(scores: Tensor, labels: Tensor) -> Tensor:
    """How many labels (B,) are the best and among the best five of the scores (B, classes)."""
    best = scores.topk(min(5, scores.shape[1]), dim=1).indices
    right = best == labels[:, None]
    return torch.stack([right[:, 0].sum(), right.sum()]).float().cpu()


def _normalised(features: Features, device: str | torch.device) -> Tensor:
    values = torch.from_numpy(features.values.mean(axis=1)).to(device)
    return F.normalize(values, dim=1)
