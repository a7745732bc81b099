"""Masking during fine-tuning, less and less of it."""

import math

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmmae_st.datasets.sample_key import SampleKey, finetuning_mask_rng
from mmmae_st.datasets.transforms.masking import draw_random
from mmmae_st.engine.runner.wrapped_model import unwrapped
from mmmae_st.models import SpacetimeViT
from mmmae_st.registry import HOOKS


@HOOKS.register_module()
class MaskAnnealingHook(Hook):
    """Fine-tunes on a part of the patches, the rest of them coming in by a cosine.

    In epoch e of E the share ``ratio * (1 + cos(pi * e / E)) / 2`` of each clip's patches is
    removed before the encoder (arXiv 2205.09113, B.3: from 50 % 84.1 against 84.4, at 1.2x the
    speed). The mask of a clip depends on (seed, epoch, index, view) only, see
    :mod:`mmmae_st.datasets.sample_key`. Validation and testing see all patches.

    Works with every model whose ``backbone`` takes ``ids_keep`` as :class:`SpacetimeViT` does and
    whose samples carry ``epoch``, ``index`` and ``view`` (:class:`PackActionClips`).

    Args:
        ratio: Share of the patches that the first epoch removes, in (0, 1).

    Raises:
        ValueError: If ``ratio`` is out of range; in training, if the samples are others.
    """

    def __init__(self, ratio: float = 0.5) -> None:
        if not 0 < ratio < 1:
            raise ValueError(f'ratio must be within (0, 1), both ends excluded, got {ratio!r}')
        self.ratio = ratio
        self._epoch = 0
        self._max_epochs = 1
        self._clips: list[tuple[SampleKey, int]] = []
        self._handle: torch.utils.hooks.RemovableHandle | None = None

    def before_train(self, runner: Runner) -> None:
        """Attach to the backbone."""
        model = unwrapped(runner.model)
        self._max_epochs = runner.max_epochs
        self._handle = model.backbone.register_forward_pre_hook(self._mask, with_kwargs=True)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Note which clips come."""
        assert data_batch is not None
        samples = data_batch['data_samples']
        lacking = [key for key in ('epoch', 'index', 'view') if not hasattr(samples[0], key)]
        if lacking:
            raise ValueError(
                f'MaskAnnealingHook needs samples with {", ".join(lacking)}, as PackActionClips '
                'makes them for fine-tuning; in pretraining the pipeline masks (RandomMasking)'
            )
        self._epoch = runner.epoch
        self._clips = [
            ((runner.seed, sample.epoch, sample.index), sample.view) for sample in samples
        ]

    def after_train_epoch(self, runner: Runner) -> None:
        """Log what was removed."""
        ratio = annealed_ratio(runner.epoch, self._max_epochs, self.ratio)
        runner.logger.info(f'Epoch {runner.epoch + 1} removed {ratio:.1%} of the patches.')

    def after_train(self, runner: Runner) -> None:
        """Detach."""
        if self._handle is not None:
            self._handle.remove()

    def _mask(self, backbone: SpacetimeViT, args: tuple, kwargs: dict) -> tuple[tuple, dict] | None:
        if not backbone.training:
            return None
        clips = args[0]
        ratio = annealed_ratio(self._epoch, self._max_epochs, self.ratio)
        grid = backbone.token_grid(clips)
        ids = [
            draw_random(grid, ratio, finetuning_mask_rng(sample_key, view))
            for sample_key, view in self._clips
        ]
        ids_keep = torch.from_numpy(np.stack(ids)).to(clips.device, non_blocking=clips.is_cuda)
        return args, dict(kwargs, ids_keep=ids_keep)


def annealed_ratio(epoch: int, max_epochs: int, ratio: float) -> float:
    """Share removed in an epoch: ``ratio`` in the first, 0 after the last, a cosine between."""
    return ratio * (1 + math.cos(math.pi * epoch / max_epochs)) / 2
