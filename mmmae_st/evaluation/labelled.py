"""k-NN and linear probe of a model in training, on a few labelled clips.

Dimensions: V clips of a video, D width.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmmae_st.evaluation.frozen_features import Features
from mmmae_st.evaluation.held_out import VideoClips
from mmmae_st.evaluation.knn import knn_accuracy
from mmmae_st.evaluation.monitoring import pooled_features
from mmmae_st.evaluation.probes import LinearProbe, probe_accuracy
from mmmae_st.models import SpatiotemporalMAE

NUM_NEIGHBORS = 20
PROBE_LR, PROBE_EPOCHS, PROBE_BATCH = 3e-3, 40, 64
Labelled = tuple[int, Tensor]
"""Label of a video and features (V, D) of its clips."""


def labelled_features(model: SpatiotemporalMAE, clips: VideoClips, num_clips: int) -> Labelled:
    """Encode V clips of a video.

    Raises:
        ValueError: If the video has no label.
    """
    if clips.label is None:
        raise ValueError(
            f'{clips.batch["data_samples"][0].path} has no label: a labelled set needs an ann_file '
            'with `path label` lines'
        )
    video = model.data_preprocessor(clips.batch)['inputs'][:num_clips]
    return clips.label, pooled_features(model, video, video.shape[2])


def accuracies(train: Sequence[Labelled], test: Sequence[Labelled]) -> dict[str, float]:
    """Top-1 accuracies ``knn`` and ``linear`` in [0, 1]; nothing random but from a seed of its own.

    Args:
        train: Videos to learn from; of a video each clip is a sample.
        test: Videos to test on; the clips of a video are averaged.
    """
    bank, queries = _features(train), _features(test)
    neighbors = min(NUM_NEIGHBORS, len(train))
    knn = knn_accuracy(bank, queries, (neighbors,))[neighbors][0]
    found = probe_accuracy(
        bank,
        queries,
        LinearProbe,
        lrs=[PROBE_LR],
        epochs=PROBE_EPOCHS,
        batch_size=PROBE_BATCH,
        weight_decay=0.0,
        verbose=False,
    )
    return dict(knn=knn, linear=found[PROBE_LR][0])


def _features(videos: Sequence[Labelled]) -> Features:
    labels = np.array([label for label, _ in videos], np.int64)
    return Features(torch.stack([values for _, values in videos]).numpy(), labels)
