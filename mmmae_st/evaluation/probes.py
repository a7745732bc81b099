"""Small classifiers trained on frozen features.

Dimensions: B samples, V views of a video, L tokens, D width.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from timm.layers import Mlp
from torch import Tensor, nn

from mmmae_st.evaluation.frozen_features import Features
from mmmae_st.evaluation.knn import count_hits


class LinearProbe(nn.Module):
    """Batch norm without weights, then one linear layer, on pooled features (B, D).

    The norm takes out the scale of the features, as is usual for masked autoencoders
    (arXiv 2111.06377, A.1).

    Args:
        embed_dims: D.
        num_classes: Classes.
    """

    def __init__(self, embed_dims: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(embed_dims, affine=False)
        self.fc = nn.Linear(embed_dims, num_classes)
        nn.init.trunc_normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x_BD: Tensor) -> Tensor:
        """Scores (B, classes)."""
        return self.fc(self.norm(x_BD))


class AttentiveProbe(nn.Module):
    """One learnt query attends to the tokens (B, L, D); then an MLP and a linear layer.

    Args:
        embed_dims: D.
        num_classes: Classes.
        num_heads: Attention heads, a divisor of D.

    Raises:
        ValueError: If ``num_heads`` does not divide ``embed_dims``.
    """

    def __init__(self, embed_dims: int, num_classes: int, num_heads: int = 16) -> None:
        super().__init__()
        if embed_dims % num_heads:
            raise ValueError(f'num_heads must divide the width {embed_dims}, got {num_heads}')
        self.num_heads = num_heads
        self.query = nn.Parameter(torch.zeros(1, 1, embed_dims))
        self.kv = nn.Linear(embed_dims, 2 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.mlp = nn.Sequential(nn.LayerNorm(embed_dims), Mlp(embed_dims, 4 * embed_dims))
        self.norm = nn.LayerNorm(embed_dims)
        self.fc = nn.Linear(embed_dims, num_classes)
        nn.init.trunc_normal_(self.query, std=0.02)
        nn.init.trunc_normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Scores (B, classes)."""
        k, v = self.kv(x_BLD).chunk(2, dim=-1)
        q = self.query.expand(len(x_BLD), -1, -1)
        q, k, v = (y.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for y in (q, k, v))
        pooled = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = self.query + self.proj(pooled)
        x = x + self.mlp(x)
        return self.fc(self.norm(x[:, 0]))


def probe_accuracy(
    train: Features,
    test: Features,
    build: Callable[[int, int], nn.Module],
    lrs: Sequence[float],
    epochs: int,
    batch_size: int,
    weight_decay: float,
    device: str | torch.device = 'cpu',
    seed: int = 0,
    verbose: bool = True,
) -> dict[float, tuple[float, float]]:
    """Train one probe for each learning rate, all on the same batches, and test them.

    AdamW, cosine to zero. In training each view is a sample; in testing the probabilities of a
    video's views are averaged.

    Args:
        train: Features to train on.
        test: Features to test on.
        build: Makes a probe from (width, number of classes).
        lrs: Learning rates.
        epochs: Passes over the training videos.
        batch_size: Videos per step.
        weight_decay: Of the probes' matrices.
        device: Where to compute.
        seed: Of the probes' weights and the order of the videos.
        verbose: Log the losses of every tenth of the epochs.

    Returns:
        (top-1, top-5) by learning rate, in [0, 1].

    Raises:
        ValueError: If an argument is out of range.
    """
    if not lrs or min(lrs) <= 0:
        raise ValueError(f'lrs must be positive numbers, got {tuple(lrs)}')
    for name, value in dict(epochs=epochs, batch_size=batch_size).items():
        if value < 1:
            raise ValueError(f'{name} must be at least 1, got {value}')
    num_classes = int(max(train.labels.max(), test.labels.max())) + 1
    width = train.values.shape[-1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        probes = [build(width, num_classes).to(device) for _ in lrs]
    optimizer = torch.optim.AdamW(
        [
            dict(params=members, lr=lr, base_lr=lr, weight_decay=decay)
            for lr, probe in zip(lrs, probes, strict=True)
            for members, decay in _by_decay(probe, weight_decay)
        ]
    )
    rng = np.random.default_rng(seed)
    batch_size = min(batch_size, len(train.labels))
    steps = len(train.labels) // batch_size  # whole batches
    for epoch in range(epochs):
        order = rng.permutation(len(train.labels))
        total = np.zeros(len(lrs))
        for step in range(steps):
            progress = (epoch * steps + step) / (epochs * steps)
            for group in optimizer.param_groups:
                group['lr'] = group['base_lr'] * (1 + math.cos(math.pi * progress)) / 2
            rows = np.sort(order[step * batch_size : (step + 1) * batch_size])
            x, num_views = _load(train, rows, device)
            labels = torch.from_numpy(train.labels[rows]).to(device).repeat_interleave(num_views)
            losses = torch.stack([F.cross_entropy(probe(x), labels) for probe in probes])
            optimizer.zero_grad()
            losses.sum().backward()
            optimizer.step()
            total += losses.detach().cpu().numpy()
        if verbose and (epoch == 0 or (epoch + 1) % max(epochs // 10, 1) == 0):
            means = ', '.join(f'{loss:.3f}' for loss in total / steps)
            print_log(f'Probe epoch {epoch + 1} of {epochs}, losses {means}', logger='current')
    return {
        lr: _test(probe, test, batch_size, device) for lr, probe in zip(lrs, probes, strict=True)
    }


@torch.inference_mode()
def _test(
    probe: nn.Module, test: Features, batch_size: int, device: str | torch.device
) -> tuple[float, float]:
    probe.eval()
    hits = torch.zeros(2)
    for start in range(0, len(test.labels), batch_size):
        rows = np.arange(start, min(start + batch_size, len(test.labels)))
        x, num_views = _load(test, rows, device)
        scores = probe(x).softmax(dim=1).unflatten(0, (-1, num_views)).mean(dim=1)
        hits += count_hits(scores, torch.from_numpy(test.labels[rows]).to(device))
    top1, top5 = (hits / len(test.labels)).tolist()
    return top1, top5


def _load(features: Features, rows: np.ndarray, device: str | torch.device) -> tuple[Tensor, int]:
    """Features (B*V, ...) float32 of some videos, and V."""
    values = torch.from_numpy(features.values[rows])
    return values.flatten(0, 1).to(device).float(), values.shape[1]


def _by_decay(probe: nn.Module, weight_decay: float) -> list[tuple[list[nn.Parameter], float]]:
    vectors = [param for param in probe.parameters() if param.ndim == 1]
    matrices = [param for param in probe.parameters() if param.ndim > 1]
    return [(matrices, weight_decay), (vectors, 0.0)]
