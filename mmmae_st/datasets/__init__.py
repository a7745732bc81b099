"""Videos to clips: file -> record (VideoDataset) -> R clips -> masks -> packed sample."""

from .readers import VideoReadError
from .sampler import EpochSampler
from .video_dataset import VideoDataset

__all__ = ['EpochSampler', 'VideoDataset', 'VideoReadError']
