"""What every reader offers, and the one error that means "this file cannot be read"."""

from abc import ABCMeta, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import cv2
import numpy as np
import torch

from mmmae_st.uncut_clips import Planes


class VideoReadError(RuntimeError):
    """A video cannot be opened or decoded. :class:`VideoDataset` replaces such a sample."""


@contextmanager
def read_errors() -> Iterator[None]:
    """Turn what decoders and file backends raise, of many kinds, into one-line VideoReadErrors."""
    try:
        yield
    except (VideoReadError, ImportError):  # a missing package is no fault of the video
        raise
    except Exception as error:
        # strerror, where there is one, leaves out the path, which the caller knows.
        text = getattr(error, 'strerror', None) or str(error).strip() or 'no message'
        raise VideoReadError(f'{type(error).__name__}: {text.splitlines()[0]}') from error


class BaseReader(metaclass=ABCMeta):
    """Random access to the frames of one video; close it, or use it in a ``with`` block.

    Frame ``i`` is the ``i``-th frame that decoding the whole file in order gives.

    Attributes:
        num_frames: Number of frames.
        fps: Frames per second; 0 when the source does not tell.
        times: (num_frames,) float64, rising, seconds at which the frames
            appear; None when the source does not tell.
        stated_seconds: How long the file says that it is; 0 when it does not tell. One that breaks
            off holds less.
    """

    num_frames: int
    fps: float
    times: np.ndarray | None = None
    stated_seconds: float = 0.0

    @abstractmethod
    def read(self, indices: Sequence[int], short_side: int | None = None) -> dict[int, np.ndarray]:
        """Decode frames.

        Args:
            indices: Frame numbers in [0, num_frames), any order, repeats allowed.
            short_side: Bounds the memory of large frames: see :func:`shrink`.
                Defaults to None, the frames as they are.

        Returns:
            Frame number to (H, W, 3) uint8 RGB, all of one size. Treat the
            arrays as read-only.

        Raises:
            VideoReadError: A frame cannot be decoded, or the frames differ in size.
        """

    def read_planes(self, indices: Sequence[int]) -> tuple[list[int], Planes]:
        """Decode frames and leave their colours as they are.

        Without a method of its own a reader gives planes made of its RGB, in ITU-R BT.601.

        Args:
            indices: As of :meth:`read`.

        Returns:
            The frame numbers, each once, rising; and their planes, in that order.

        Raises:
            VideoReadError: As of :meth:`read`.
        """
        frames = sorted(self.read(indices).items())
        return [index for index, _ in frames], planes_of_rgb([frame for _, frame in frames])

    def stream(
        self, indices: Sequence[int], short_side: int | None = None
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Decode frames one after the other, for videos whose frames fill the memory.

        Args:
            indices: As of :meth:`read`.
            short_side: As of :meth:`read`.

        Yields:
            Frame number and (H, W, 3) uint8 RGB, each frame once, with rising numbers.

        Raises:
            VideoReadError: A frame cannot be decoded; those before it have been given.
        """
        for index in sorted(set(indices)):
            yield index, self.read([index], short_side)[index]

    @abstractmethod
    def close(self) -> None:
        """Release the file and the decoder. Safe to call twice."""

    def __enter__(self) -> 'BaseReader':
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def planes_of_rgb(frames: Sequence[np.ndarray]) -> Planes:
    """RGB frames, (H, W, 3) uint8 of one size, in YUV 4:2:0 (ITU-R BT.601, limited range)."""
    height, width = frames[0].shape[:2]
    odd = height % 2, width % 2
    lumas, chromas = [], []
    for frame in frames:
        even = np.pad(frame, ((0, odd[0]), (0, odd[1]), (0, 0)), mode='edge')
        parts = cv2.cvtColor(even, cv2.COLOR_RGB2YUV_I420)
        lumas.append(parts[:height, :width])
        chromas.append(parts[len(even) :].reshape(2, len(even) // 2, -1))
    luma, chroma = (torch.from_numpy(np.stack(planes)) for planes in (lumas, chromas))
    return Planes(luma, chroma, colour_space=5, full_range=False)


def shrink(image: np.ndarray, short_side: int | None) -> np.ndarray:
    """Divide the size of a large image by the whole number that leaves its short side just enough.

    Each pixel is the mean of a square of pixels; what is left over at the right and the bottom is
    cut off. Images with a short side below twice ``short_side`` stay as they are.

    Args:
        image: (H, W, 3) uint8.
        short_side: The least that is left of the short side; None for no change.

    Returns:
        np.ndarray: (H // n, W // n, 3) uint8 with n = min(H, W) // short_side.
    """
    height, width = image.shape[:2]
    factor = min(height, width) // short_side if short_side else 1
    if factor < 2:
        return image
    height, width = height // factor, width // factor
    whole = image[: height * factor, : width * factor]
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)


def check_frames(frames: dict[int, np.ndarray], indices: Sequence[int]) -> dict[int, np.ndarray]:
    """Return ``frames`` when they are all there and of one size, else raise VideoReadError."""
    missing = sorted(set(indices) - frames.keys())
    if missing:
        raise VideoReadError(
            f'{len(missing)} of {len(set(indices))} frames could not be decoded, the first is '
            f'number {missing[0]}'
        )
    sizes = {frame.shape[:2] for frame in frames.values()}
    if len(sizes) > 1:
        raise VideoReadError(f'the frame size changes within the video: (H, W) in {sorted(sizes)}')
    return frames
