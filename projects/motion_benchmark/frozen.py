"""k-NN and linear probe on an encoder that is not trained further."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mmmae_st.evaluation import LinearProbe, extract_features, knn_accuracy, probe_accuracy
from mmmae_st.models.weights import load_pretrained
from mmmae_st.registry import MODELS

from .clips import label_of
from .runner import Site, encoder_config, loader_config, loading_config


def measure_frozen(site: Site, seed: int, checkpoint: Path | None, split: str) -> dict[str, float]:
    """k-NN and linear probe, all labels, on an encoder that is not trained further.

    Returns:
        ``knn`` and ``linear``, accuracies in [0, 1], of the motion; where the clips have classes
        of appearance, ``knn_appearance`` and ``linear_appearance`` as well.
    """
    scale = site.scale
    torch.manual_seed(seed)
    DefaultScope.get_instance(f'frozen_{seed}_{split}', scope_name='mmmae_st')
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    backbone = MODELS.build(encoder_config(scale, out_type='pooled'))
    if checkpoint is not None:
        load_pretrained(backbone, checkpoint)
    backbone.to(device).requires_grad_(False)
    preprocessor = MODELS.build(dict(type='ClipDataPreprocessor')).to(device)
    resize = dict(type='ClipResize', short_side=scale.img_size)
    train, test = (
        extract_features(
            backbone,
            preprocessor,
            Runner.build_dataloader(
                loader_config(
                    site,
                    part,
                    [loading_config(site, part), resize, dict(type='PackClips')],
                    64,
                    shuffle=False,
                )
            ),
            site.work / 'features',
        )
        for part in ('train', split)
    )
    figures = {}
    for labels in scale.clips.label_sets:
        suffix = '' if labels == 'motion' else f'_{labels}'
        shown, asked = (
            replace(part, labels=np.array([label_of(i, labels) for i in range(len(part.labels))]))
            for part in (train, test)
        )
        neighbors = min(20, len(shown.labels))
        knn = knn_accuracy(shown, asked, (neighbors,), device=device)[neighbors][0]
        found = probe_accuracy(
            shown, asked, LinearProbe, [scale.probe_lr], 40, 64, 0.0, device=device, seed=seed
        )
        figures.update({f'knn{suffix}': knn, f'linear{suffix}': found[scale.probe_lr][0]})
    return figures
