"""What pretraining and classification cost, for comparisons at equal compute."""

import math

import torch

from mmmae_st.analysis.operations import count_multiply_adds
from mmmae_st.analysis.pretraining_cost import pretraining_cost
from mmmae_st.registry import MODELS

from .clips import LABEL_SETS
from .pretraining import Pretraining, pretraining_config
from .runner import Site, encoder_config


def multiply_adds(site: Site, options: Pretraining) -> tuple[float, float]:
    """Of a forward pass of one clip: in pretraining, and in classification."""
    cfg = pretraining_config(site, options, 0)
    costs = pretraining_cost(cfg).executed
    assert costs is not None
    with torch.device('meta'):
        backbone = MODELS.build(encoder_config(site.scale, out_type='pooled'))
    size = site.scale.img_size
    clip = torch.empty(1, 3, site.scale.clip_len, size, size, device='meta')
    whole = count_multiply_adds(backbone, (clip,))['']
    return costs['dense' if options.dense else 'sparse'], whole


def equal_compute_epochs(
    site: Site, options: Pretraining, labels: int, label_set: str = 'motion'
) -> int:
    """Epochs from scratch that cost what pretraining and fine-tuning cost together.

    A training step costs three forward passes in either, so forward passes are compared.
    """
    scale = site.scale
    step, whole = multiply_adds(site, options)
    pretraining = step * scale.pretrain.epochs * scale.clips.num_train
    per_epoch = whole * labels * len(LABEL_SETS[label_set])
    return scale.finetune[labels].epochs + math.ceil(pretraining / per_epoch)
