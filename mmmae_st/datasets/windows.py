"""Clips out of a video of any length, decoded once and in order.

Dimensions: N clips (windows), T frames of a clip, H W pixels.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from mmmae_st.datasets.readers import BaseReader, VideoReadError, call_with_timeout, read_errors


def stream_windows(
    reader: BaseReader,
    frame_inds: np.ndarray,
    cut: Callable[[np.ndarray], np.ndarray],
    timeout: float = 120,
) -> Iterator[np.ndarray]:
    """Give one clip after the other; in memory are the frames of those that overlap.

    Args:
        reader: An open video.
        frame_inds: (N, T) int64 frame numbers, rising within a clip and from clip to clip.
        cut: What is done to each frame (H, W, 3) as it comes, once; the results are of one size.
        timeout: Seconds that a frame may take.

    Yields:
        Clips (T, h, w, 3), in order.

    Raises:
        VideoReadError: A frame cannot be decoded; the clips before it have been given.
    """
    frames: dict[int, np.ndarray] = {}
    windows = iter(frame_inds.tolist())
    window = next(windows, None)
    stream = reader.stream(np.unique(frame_inds).tolist())
    with read_errors():
        while window is not None:
            found = call_with_timeout(partial(next, stream, None), timeout)
            if found is None or found[0] > window[-1]:
                lost = next(index for index in window if index not in frames)
                raise VideoReadError(f'frame {lost} could not be decoded')
            frames[found[0]] = cut(found[1])
            while window is not None and all(index in frames for index in window):
                yield np.stack([frames[index] for index in window])
                window = next(windows, None)
                first = window[0] if window else 0
                frames = {index: frame for index, frame in frames.items() if index >= first}


def breaks_off(reader: BaseReader) -> str | None:
    """What is to be said of a file that states to be longer than its frames last; None otherwise.

    A second, or a fiftieth of the whole, may be missing: sound is often longer than the pictures.
    """
    if reader.fps:
        lasts = reader.num_frames / reader.fps
        if reader.stated_seconds - lasts > max(1.0, 0.02 * reader.stated_seconds):
            return f'breaks off at {lasts:.1f} s of {reader.stated_seconds:.1f} s'
    return None
