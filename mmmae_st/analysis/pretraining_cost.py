"""What a step of masked pretraining costs, as executed and as the paper counts it.

- *executed*: what this code computes. Only the kept patches are embedded, the last decoder block
  asks from the predicted patches only (the removed ones, or a part of them with
  ``DecoderMasking``), and the prediction layer is included.
- *published*: what the paper's factor of 7.7 is made of. Every patch is embedded before the kept
  ones are chosen, every decoder block asks from every token, the prediction layer is left out.

Dimensions: B clips, K kept tokens, M predicted tokens, V values of a patch.
"""

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from torch import Tensor, nn

from mmmae_st.analysis.cost import ClipSize, Cost, build_on_meta, clip_size, measure
from mmmae_st.analysis.operations import count_multiply_adds
from mmmae_st.analysis.schedules import training_pipeline
from mmmae_st.datasets.transforms import DecoderMasking
from mmmae_st.datasets.transforms.masking import BaseMasking, Grid
from mmmae_st.registry import TRANSFORMS, component_class, type_name


class PretrainingForward(nn.Module):
    """Encoder, decoder and prediction layer for given masks; target and loss are left out."""

    model: Any

    def __init__(self, model: nn.Module, grid: tuple[int, int, int], num_outputs: int) -> None:
        super().__init__()
        self.model = model
        self.grid = grid
        self.num_outputs = num_outputs

    def forward(self, clips: Tensor, ids_keep: Tensor, ids_predict: Tensor) -> Tensor:
        """Predictions (B, num_outputs, V)."""
        features = self.model.encode_decode(
            clips, ids_keep, ids_predict, grid=self.grid, num_outputs=self.num_outputs
        )
        return self.model.head(features)


@dataclass(frozen=True)
class Masks:
    """The transforms of a pipeline that draw ids.

    Attributes:
        encoder: What chooses the kept patches.
        decoder: What chooses the predicted ones among the removed; all of them for None.
    """

    encoder: BaseMasking
    decoder: DecoderMasking | None

    def draw(self, grid: Grid, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray | None]:
        """Kept (K,) and predicted (M,) ids int64 of a clip; None predicts all removed ones."""
        keep = self.encoder.draw(grid, rng)
        return keep, None if self.decoder is None else self.decoder.draw(keep, grid, rng)


def find_masks(cfg: Config) -> Masks:
    """The masking transforms of a config's training pipeline.

    Raises:
        ValueError: If nothing masks the encoder.
    """
    found: dict[type, Any] = {}
    for transform in training_pipeline(cfg):
        kind = component_class(MMENGINE_TRANSFORMS, transform, 'mmmae_st')
        for base in (BaseMasking, DecoderMasking):
            if isinstance(kind, type) and issubclass(kind, base):
                found[base] = TRANSFORMS.build(transform)
    if BaseMasking not in found:
        raise ValueError('train_dataloader.dataset.pipeline holds no masking transform')
    return Masks(found[BaseMasking], found.get(DecoderMasking))


def pretraining_cost(
    cfg: Config,
    clip: ClipSize | None = None,
    ratio: float | None = None,
    bfloat16: bool = False,
) -> Cost:
    """Cost of pretraining with a sparse and with a dense encoder.

    The modules are those of the config, whichever of the two it has.

    Args:
        cfg: A config with ``model`` and a masking transform in the training pipeline.
        clip: Frames, height and width; what the training pipeline gives by default.
        ratio: Mask ratio, in (0, 1); the transform's by default.
        bfloat16: Measure activations under bfloat16 autocast.

    Raises:
        ValueError: If the ratio is out of range or keeps nothing, the clip does not divide into
            patches, or the pipeline does not mask.
    """
    masks = find_masks(cfg)
    if ratio is not None:
        if not 0 < ratio < 1:
            raise ValueError(f'ratio must be in (0, 1), got {ratio}')
        masks.encoder.ratio = ratio
    steps = {dense: _step(cfg, masks, clip, dense) for dense in (False, True)}
    whole = {dense: _step(cfg, Masks(masks.encoder, None), clip, dense) for dense in (False, True)}
    step, inputs = steps[bool(cfg.model.backbone.get('with_mask_token', False))]
    return measure(
        step,
        inputs,
        'pretraining',
        bfloat16,
        mask_ratio=1 - inputs[1].shape[1] / math.prod(step.grid),
        executed=_compare(*(count_multiply_adds(*steps[dense])[''] for dense in (False, True))),
        published=_compare(*(_as_published(*whole[dense]) for dense in (False, True))),
    )


def _step(
    cfg: Config, masks: Masks, clip: ClipSize | None, dense: bool
) -> tuple[PretrainingForward, tuple[Tensor, Tensor, Tensor]]:
    """The model with mask tokens in the encoder or in the decoder, and its inputs."""
    variant = copy.deepcopy(cfg)
    variant.model.backbone.with_mask_token = dense
    variant.model.decoder.with_mask_token = not dense
    model: Any = build_on_meta(variant)
    clip = clip or _clip_of_pipeline(cfg, clip_size(model.backbone))
    video = torch.empty(1, 3, *clip, device='meta')
    grid = model.backbone.token_grid(video)
    keep, predict = masks.draw(grid, np.random.default_rng(0))
    kept = len(keep)
    predicted = math.prod(grid) - kept if predict is None else len(predict)
    ids = torch.empty(1, kept + predicted, dtype=torch.int64, device='meta')
    inputs = video, ids[:, :kept], ids[:, kept:]
    return PretrainingForward(model, grid, predicted), inputs


def _clip_of_pipeline(cfg: Config, built_for: ClipSize) -> ClipSize:
    """Frames, height and width that training gives; where it does not say, those built for."""
    frames, height, width = built_for
    for transform in training_pipeline(cfg):
        frames = transform.get('clip_len', frames)
        if type_name(transform) in ('ClipRandomResizedCrop', 'ClipCenterCrop'):
            height = width = transform['size']
    return frames, height, width


def _as_published(step: PretrainingForward, inputs: tuple[Tensor, Tensor, Tensor]) -> int:
    kept, tokens = inputs[1].shape[1], inputs[1].shape[1] + inputs[2].shape[1]
    everything = PretrainingForward(step.model, step.grid, tokens + 1)  # + 1: the class token
    counts = count_multiply_adds(everything, inputs)
    embedding = counts['model.backbone.patch_embed']
    return (
        counts['model.backbone'] - embedding + embedding * tokens // kept + counts['model.decoder']
    )


def _compare(sparse: int, dense: int) -> dict[str, float]:
    return dict(sparse=sparse, dense=dense, ratio=dense / sparse)
