"""A training step on ready data, as something to call."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from mmmae_st.analysis.pretraining_cost import find_masks
from mmmae_st.engine.optimizers.late_norm import LateNormOptimWrapper


@dataclass(frozen=True)
class Settings:
    """How a step is timed.

    Attributes:
        batch: Clips of a batch.
        device: ``'cpu'``, ``'cuda'`` or ``'cuda:N'``.
        amp: Under bfloat16 autocast.
        compile: With ``torch.compile``.
        compile_mode: Its mode; ``'reduce-overhead'`` records CUDA graphs.
        runs: Counted steps.
        warmup: Steps before counting.
    """

    batch: int = 4
    device: str = 'cpu'
    amp: bool = False
    compile: bool = False
    compile_mode: str | None = None
    runs: int = 7
    warmup: int = 2


class Step:
    """One of the things to time: a model with its optimiser on a fixed batch.

    Args:
        model: With the interface of ``SpatiotemporalMAE``.
        cfg: Its config, of which the optimiser is used.
        batch: Arguments of ``model.forward`` but ``mode``.
        settings: How it is timed.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        cfg: Config,
        batch: dict[str, torch.Tensor],
        settings: Settings,
    ) -> None:
        self.model = model.to(settings.device)
        self.batch = batch
        wrapper = copy.deepcopy(cfg.optim_wrapper)
        wrapper.type = 'OptimWrapper'
        wrapper.pop('force_bfloat16', None)
        if settings.amp:  # what was asked for is measured, on any hardware
            wrapper.update(type='mmmae_st.BFloat16OptimWrapper', force_bfloat16=True)
        wrapper.accumulative_counts = 1
        self.wrapper = build_optim_wrapper(self.model, wrapper)
        if isinstance(self.wrapper, LateNormOptimWrapper):
            self.wrapper.is_late = True  # nothing waits, as in training on a GPU: ExplosionHook
        compiled = torch.compile(model, mode=settings.compile_mode) if settings.compile else model
        self.forward = compiled

    def __call__(self) -> None:
        """Train on the batch."""
        self.wrapper.update_params(self.forward_pass())

    def forward_pass(self) -> torch.Tensor:
        """Loss on the batch, with its graph."""
        with self.wrapper.optim_context(self.model):
            return self.forward(**self.batch, mode='loss')['loss']

    @torch.no_grad()
    def loss(self) -> float:
        """Loss on the batch; the model stays as it is."""
        with self.wrapper.optim_context(self.model):
            return self.model(**self.batch, mode='loss')['loss'].item()


def make_batch(model: torch.nn.Module, cfg: Config, settings: Settings) -> dict[str, torch.Tensor]:
    """Random clips, normalised, and ids as the config draws them."""
    backbone, generator = model.backbone, torch.Generator().manual_seed(0)
    t, h, w = backbone.grid
    size = t * backbone.tubelet_size, h * backbone.patch_size, w * backbone.patch_size
    clips = torch.randint(
        0, 256, (settings.batch, 3, *size), dtype=torch.uint8, generator=generator
    )
    masks = find_masks(cfg)
    drawn = [masks.draw(backbone.grid, np.random.default_rng(i)) for i in range(settings.batch)]
    batch = dict(inputs=list(clips[:, None]))
    for key, ids in zip(('ids_keep', 'ids_predict'), zip(*drawn, strict=True), strict=True):
        if ids[0] is not None:
            batch[key] = [torch.from_numpy(row)[None] for row in ids]
    return model.data_preprocessor(batch)
