"""Parameters, multiply-adds, tokens and activation memory of a model, by module."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from mmmae_st.analysis.activations import saved_activations
from mmmae_st.analysis.operations import count_multiply_adds
from mmmae_st.models.spacetime_vit import SpacetimeViT

ClipSize = tuple[int, int, int]  # frames, height, width


@dataclass(frozen=True)
class ModuleCost:
    """One row of the table; everything includes what is below the module.

    Attributes:
        name: Module name, as in the model's state dict.
        parameters: Number of parameters.
        multiply_adds: Of one view.
        tokens: Length of the sequence that it returns, None if it returns none.
        activation_bytes: Saved for the backward pass, for each clip of a batch.
    """

    name: str
    parameters: int
    multiply_adds: int
    tokens: int | None
    activation_bytes: int


@dataclass(frozen=True)
class Cost:
    """What one view of a clip costs.

    Attributes:
        task: ``'pretraining'``, ``'recognition'`` or ``'detection'``.
        clip: Frames, height and width.
        grid: Token grid (t, h, w).
        modules: One row for each module, the model itself first, with the name ``''``.
        fixed_activation_bytes: Saved for the backward pass whatever the batch.
        activation_dtype: ``'float32'``, or ``'bfloat16'`` for autocast.
        views: Recognition: views of a video in the test.
        mask_ratio: Pretraining: part of the patches that is removed.
        executed: Pretraining: multiply-adds as this code runs: ``sparse``, ``dense`` (mask
            tokens go through the encoder) and their ``ratio``.
        published: Pretraining: the same three, counted as the paper does.
    """

    task: str
    clip: ClipSize
    grid: tuple[int, int, int]
    modules: list[ModuleCost]
    fixed_activation_bytes: int
    activation_dtype: str
    views: int | None = None
    mask_ratio: float | None = None
    executed: dict[str, float] | None = None
    published: dict[str, float] | None = None

    @property
    def total(self) -> ModuleCost:
        """The whole model."""
        return self.modules[0]

    @property
    def by_name(self) -> dict[str, ModuleCost]:
        """Rows by module name."""
        return {module.name: module for module in self.modules}

    def to_dict(self) -> dict:
        """Plain dict for JSON; what does not concern the task is left out."""
        return {key: value for key, value in asdict(self).items() if value is not None}


class RecognitionForward(nn.Module):
    """Backbone and classification head of a recogniser."""

    model: Any

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, clips: Tensor) -> Tensor:
        """Class scores (B, classes)."""
        return self.model.cls_head(self.model.backbone(clips))


class BackboneForward(nn.Module):
    """The backbone of a model."""

    model: Any

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, clips: Tensor) -> Tensor:
        """Whatever the backbone returns."""
        return self.model.backbone(clips)


def build_on_meta(cfg: Config) -> nn.Module:
    """The config's model with parameters that have shapes and no memory.

    It has the default preprocessor: those that mix samples compute already when they are built.
    """
    init_default_scope(cfg.get('default_scope', 'mmmae_st'))
    model_cfg = {key: value for key, value in cfg.model.items() if key != 'data_preprocessor'}
    with torch.device('meta'):
        return MMENGINE_MODELS.build(model_cfg)


def clip_size(backbone: SpacetimeViT) -> ClipSize:
    """Frames, height and width that a backbone's position embeddings are made for."""
    t, h, w = backbone.grid
    return t * backbone.tubelet_size, h * backbone.patch_size, w * backbone.patch_size


def recognition_cost(
    model: Any, clip: ClipSize | None = None, views: int = 1, bfloat16: bool = False
) -> Cost:
    """Cost of a recogniser.

    Args:
        model: A model with ``backbone`` and ``cls_head``, on the ``meta`` device.
        clip: Frames, height and width; what the backbone is built for by default.
        views: Views of a video in the test.
        bfloat16: Measure activations under bfloat16 autocast.

    Raises:
        ValueError: If ``views`` is less than 1 or the clip does not divide into patches.
    """
    if views < 1:
        raise ValueError(f'views must be at least 1, got {views}')
    clip = clip or clip_size(model.backbone)
    inputs = (torch.empty(1, 3, *clip, device='meta'),)
    return measure(RecognitionForward(model), inputs, 'recognition', bfloat16, views=views)


def detection_cost(model: Any, clip: ClipSize | None = None, bfloat16: bool = False) -> Cost:
    """Cost of a detector's backbone; the rest depends on the boxes and is small.

    Args:
        model: A model with ``backbone``, on the ``meta`` device.
        clip: Frames, height and width; what the backbone is built for by default.
        bfloat16: Measure activations under bfloat16 autocast.

    Raises:
        ValueError: If the clip does not divide into patches.
    """
    clip = clip or clip_size(model.backbone)
    inputs = (torch.empty(1, 3, *clip, device='meta'),)
    return measure(BackboneForward(model), inputs, 'detection', bfloat16)


def measure(
    step: nn.Module,
    inputs: Sequence[Tensor],
    task: str,
    bfloat16: bool,
    views: int | None = None,
    mask_ratio: float | None = None,
    executed: dict[str, float] | None = None,
    published: dict[str, float] | None = None,
) -> Cost:
    """Count one forward pass.

    Args:
        step: Holds the model as ``model``; its forward takes ``inputs``.
        inputs: Clips (1, C, T, H, W) first, on the ``meta`` device.
        task: See :class:`Cost`, as for the arguments that follow.
        bfloat16: Measure activations under bfloat16 autocast.
        views: See :class:`Cost`.
        mask_ratio: See :class:`Cost`.
        executed: See :class:`Cost`.
        published: See :class:`Cost`.
    """
    model: Any = step.model
    backbone: SpacetimeViT = model.backbone
    frames, height, width = inputs[0].shape[2:]
    size = frames, height, width
    multiply_adds = count_multiply_adds(step, tuple(inputs))
    activations = saved_activations(step, tuple(inputs), bfloat16)
    modules = []
    for name, module in model.named_modules():
        key = f'model.{name}' if name else ''
        modules.append(
            ModuleCost(
                name=name,
                parameters=sum(weight.numel() for weight in module.parameters()),
                multiply_adds=multiply_adds.get(key, 0),
                tokens=activations.tokens.get(key),
                activation_bytes=activations.per_clip[key],
            )
        )
    return Cost(
        task=task,
        clip=size,
        grid=backbone.token_grid(inputs[0]),
        modules=modules,
        fixed_activation_bytes=activations.fixed[''],
        activation_dtype='bfloat16' if bfloat16 else 'float32',
        views=views,
        mask_ratio=mask_ratio,
        executed=executed,
        published=published,
    )
