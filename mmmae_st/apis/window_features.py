"""Features all along one video of any length: windows of a stride, decoded once.

Dimensions: N windows, T frames, D width, h w the token grid of a frame.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose

from mmmae_st.apis.feature_inferencer import ClipEncoder
from mmmae_st.apis.inputs import VideoInput, square_size, square_steps
from mmmae_st.datasets import VideoReadError
from mmmae_st.datasets.readers import MemoryReader, open_video
from mmmae_st.datasets.transforms.frame_sampling import Windows, plan_windows
from mmmae_st.datasets.windows import breaks_off, stream_windows

TARGET_FPS = 30.0


@dataclass(frozen=True)
class WindowSettings:
    """What windows are taken, and how.

    Attributes:
        stride: Frames from one window to the next, at 30 a second.
        frame_interval: Frames from one to the next within a window, at 30 a second.
        batch_size: Windows at a time.

    Raises:
        ValueError: If a number is not positive.
    """

    stride: float = 16
    frame_interval: int = 4
    batch_size: int = 8

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f'{name} must be greater than 0, got {value!r}')


class FeaturesOfWindows:
    """The features of one video, batch by batch; iterate once.

    Args:
        encoder: Gives ``'pooled'`` or ``'spatial'`` features.
        video: A path, or frames, which are taken to be 30 a second.
        settings: What windows are taken.

    Attributes:
        windows: Frames and seconds of each.
        fps: Frames per second; 0 when unknown.
        error: After the iteration, why it ended early; None if it did not.

    Raises:
        VideoReadError: If the video cannot be opened.
    """

    def __init__(self, encoder: ClipEncoder, video: VideoInput, settings: WindowSettings) -> None:
        self.encoder = encoder
        self.settings = settings
        num_frames, self._size = square_size(encoder.encoder)
        frames = video.frames
        self._reader = open_video(video.path) if frames is None else MemoryReader(frames)
        self.fps = self._reader.fps
        self.num_frames = self._reader.num_frames
        self.windows: Windows = plan_windows(
            self.num_frames,
            self.fps,
            self._reader.times,
            num_frames,
            settings.frame_interval,
            settings.stride,
            TARGET_FPS,
        )
        self.error = breaks_off(self._reader)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Features (b, ...) float32 of the next windows."""
        with self._reader as reader:
            clips = stream_windows(reader, self.windows.frame_inds, _cutter(self._size))
            while batch := self._next(clips):
                video = torch.from_numpy(np.stack(batch)).permute(0, 4, 1, 2, 3)
                yield self.encoder([video]).cpu().numpy()

    def summary(self, number: int) -> dict[str, Any]:
        """What was read, in plain values, when ``number`` windows were."""
        begin, end = self.windows.seconds[0].tolist()
        return dict(
            fps=self.fps,
            frames=self.num_frames,
            windows=number,
            windows_expected=len(self.windows.seconds),
            seconds_per_window=end - begin,
            seconds_per_stride=self.settings.stride / TARGET_FPS,
            error=self.error,
        )

    def _next(self, clips: Iterator[np.ndarray]) -> list[np.ndarray]:
        """Up to a batch of clips; those before an error, which is kept."""
        batch: list[np.ndarray] = []
        try:
            for clip in islice(clips, self.settings.batch_size):
                batch.append(clip)  # one by one: those before an error count
        except VideoReadError as error:
            self.error = self.error or str(error)
        return batch


def _cutter(size: int) -> Callable[[np.ndarray], np.ndarray]:
    """Cuts the central square of a frame as the inferencers cut it out of clips."""
    steps = Compose(square_steps(size))

    def cut(frame: np.ndarray) -> np.ndarray:
        return steps(dict(clips=[[frame]]))['clips'][0, 0]

    return cut
