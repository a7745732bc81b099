"""Videos to clips: file -> record (VideoDataset) -> R clips -> masks -> packed sample."""

from mmmae_st.datasets.mixed_dataset import MixedVideoDataset
from mmmae_st.datasets.readers import VideoReadError
from mmmae_st.datasets.sampler import EpochSampler
from mmmae_st.datasets.video_dataset import VideoDataset

__all__ = ['EpochSampler', 'MixedVideoDataset', 'VideoDataset', 'VideoReadError']
