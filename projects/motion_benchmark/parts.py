"""Components that the study's configs name: reading from memory, and a plain classifier."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from mmcv.transforms import BaseTransform
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmmae_st.datasets.sample_key import view_rng
from mmmae_st.datasets.transforms import LoadClips
from mmmae_st.registry import METRICS, MODELS, TRANSFORMS


@lru_cache(maxsize=8)
def open_frames(path: str) -> np.ndarray:
    """The frames of a set, (clips, frames, height, width, 3) uint8, mapped into memory."""
    return np.asarray(np.load(path, mmap_mode='r'))  # slicing a memmap is several times slower


@TRANSFORMS.register_module()
class LoadFrames(LoadClips):
    """:class:`LoadClips` from the array of frames that was read from the same files.

    On clips of this size opening a file costs more than the step that is trained with it.

    Args:
        frames: File of :func:`open_frames`. A video's row is the number in its name.
        clip_len: As for :class:`LoadClips`, like the arguments that follow.
        frame_interval: Frames from one to the next.
        num_clips: Clips of a video.
        still: Repeat one frame of the video, drawn at random, in place of all: what a classifier
            can tell from that must come from the picture, not from the motion.
    """

    def __init__(
        self,
        frames: str,
        clip_len: int = 16,
        frame_interval: int = 1,
        num_clips: int = 1,
        still: bool = False,
    ) -> None:
        super().__init__(clip_len, frame_interval, num_clips)
        self.frames = frames
        self.still = still

    def transform(self, results: dict) -> dict:
        """Add ``clips``, ``frame_inds`` and ``rngs``."""
        video = open_frames(self.frames)[int(Path(results['path']).stem.split('_')[1])]
        rngs = [view_rng(results['sample_key'], view) for view in range(self.num_clips)]
        frame_inds = self.sample(len(video), self.target_fps, rngs)
        if self.still:
            for row, rng in zip(frame_inds, rngs, strict=True):
                row[:] = rng.integers(len(video))
        results['clips'] = [list(video[row]) for row in frame_inds]
        results['frame_inds'] = frame_inds
        results['rngs'] = rngs
        return results


@TRANSFORMS.register_module()
class NumberView(BaseTransform):
    """Give packed samples of one clip the number ``view=0`` that ``MaskAnnealingHook`` reads."""

    def transform(self, results: dict) -> dict:
        """Add to the meta information."""
        results['data_samples'].set_metainfo(dict(view=0))
        return results


@MODELS.register_module()
class ClipClassifier(BaseModel):
    """Encoder, norm of the mean of its patch tokens, dropout and a linear layer.

    The same as the recogniser of ``configs/finetune``, without mmaction2.

    Args:
        backbone: Config of a ``SpacetimeViT`` with ``out_type='pooled'``.
        num_classes: Classes.
        dropout: Before the linear layer, in [0, 1).
        label_smoothing: Of the cross-entropy, in [0, 1).
        data_preprocessor: Config of the preprocessor.
    """

    def __init__(
        self,
        backbone: dict,
        num_classes: int,
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(MODELS.build(data_preprocessor or dict(type='ClipDataPreprocessor')))
        self.backbone = MODELS.build(backbone)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(self.backbone.embed_dims, num_classes)
        self.label_smoothing = label_smoothing
        nn.init.trunc_normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(
        self, inputs: Tensor, data_samples: list[BaseDataElement], mode: str = 'tensor'
    ) -> Tensor | dict[str, Tensor] | list[BaseDataElement]:
        """Run a batch of normalised clips (B, C, T, H, W), one of each video.

        Returns:
            ``'tensor'``: scores (B, classes). ``'loss'``: ``dict(loss=scalar)``. ``'predict'``: an
            element with ``pred`` and ``label`` for each clip.

        Raises:
            ValueError: If the mode is unknown.
        """
        scores = self.fc(self.dropout(self.backbone(inputs)))
        if mode == 'tensor':
            return scores
        labels = scores.new_tensor([sample.label for sample in data_samples]).long()
        if mode == 'loss':
            loss = F.cross_entropy(scores, labels, label_smoothing=self.label_smoothing)
            return dict(loss=loss)
        if mode == 'predict':
            pairs = zip(scores.argmax(dim=1).tolist(), labels.tolist(), strict=True)
            return [BaseDataElement(pred=pred, label=label) for pred, label in pairs]
        raise ValueError(f"mode must be 'loss', 'predict' or 'tensor', got {mode!r}")


@METRICS.register_module()
class TopOne(BaseMetric):
    """Share of the clips whose class a :class:`ClipClassifier` has right."""

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Note which are right."""
        self.results.extend(sample['pred'] == sample['label'] for sample in data_samples)

    def compute_metrics(self, results: list[bool]) -> dict[str, float]:
        """``dict(top1=...)`` in [0, 1]."""
        return dict(top1=sum(results) / len(results))
