"""Which frames a clip takes. Pure functions; V frames in the video, T in the clip."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# A rate varies where half a clip lasts this much longer or shorter than at the mean rate.
RATE_TOLERANCE = 0.1
# Seconds by which times may be rounded.
ROUNDING = 1e-3


def clip_span(clip_len: int, frame_interval: int, fps: float, target_fps: float) -> float:
    """Length of a clip in source frames, such that it lasts as long as at ``target_fps``.

    A video of unknown rate (``fps`` 0) is taken to have the target rate.
    """
    return clip_len * frame_interval * (fps or target_fps) / target_fps


def random_start(num_frames: int, span: float, rng: np.random.Generator) -> float:
    """Start of a training clip, uniform in [0, max(V - span, 0))."""
    return rng.uniform(0, max(num_frames - span, 0))


def window_starts(
    num_frames: int, span: float, window: float, rngs: Sequence[np.random.Generator]
) -> list[float]:
    """Starts of training clips that lie together in a window of ``window`` frames.

    Each of them alone is uniform in [0, max(V - span, 0)), as that of :func:`random_start`: the
    window's place is drawn on a circle of twice that length, which is then folded in half, so that
    no place is left out or favoured at the ends.

    Args:
        num_frames: V.
        span: Length of a clip in frames.
        window: Length of the window in frames, at least ``span``.
        rngs: One for each clip; the first draws the place of the window, too.
    """
    room = max(num_frames - span, 0)
    place = rngs[0].uniform(0, 2 * room)
    starts = [place + rng.uniform(0, window - span) for rng in rngs]
    return [abs((start + room) % (2 * room) - room) if room else 0.0 for start in starts]


def uniform_starts(num_frames: int, span: float, num_clips: int) -> list[int]:
    """Starts of the K test clips, spread evenly; the central one for K = 1."""
    delta = max(num_frames - span, 0)
    if num_clips == 1:
        return [int(delta // 2)]
    return [i * int(delta // (num_clips - 1)) for i in range(num_clips)]


def clip_frames(start: float, span: float, clip_len: int, num_frames: int) -> np.ndarray:
    """(T,) int64 frame numbers of a clip, clamped to the video."""
    frames = np.linspace(start, start + span - 1, clip_len)
    return frames.clip(0, num_frames - 1).astype(np.int64)


def segment_frames(num_frames: int, clip_len: int, rng: np.random.Generator | None) -> np.ndarray:
    """(T,) int64: one frame out of each of T equal segments, random or, without rng, central."""
    within = np.full(clip_len, 0.5) if rng is None else rng.random(clip_len)
    frames = (np.arange(clip_len) + within) * num_frames / clip_len
    return frames.astype(np.int64).clip(0, num_frames - 1)


def rate_varies(times: np.ndarray, span: float) -> bool:
    """Whether frame numbers tell too little about time for a clip of ``span`` frames.

    So it is where half a clip, anywhere in the video, lasts over a tenth longer or shorter than
    at the mean rate. Single frames that are late, and times that are rounded, make no difference.

    Args:
        times: (V,) seconds at which the frames appear, rising.
        span: Length of a clip in frames, at the mean rate.
    """
    window = int(min(span, len(times) - 1)) // 2
    if window < 1:
        return False
    mean = window * (times[-1] - times[0]) / (len(times) - 1)
    lengths = times[window:] - times[:-window]
    return bool(np.any(np.abs(lengths / mean - 1) > RATE_TOLERANCE))


def num_shown(times: np.ndarray, fps: float) -> int:
    """Frames that the video would have at a constant rate; its last frame lasts a mean interval."""
    mean = (times[-1] - times[0]) / (len(times) - 1)
    return max(round((times[-1] - times[0] + mean) * fps), 1)


def frames_shown(times: np.ndarray, fps: float, numbers: np.ndarray) -> np.ndarray:
    """The frames that show when those of a constant rate would.

    Args:
        times: (V,) seconds at which the frames appear, rising.
        fps: The constant rate.
        numbers: Frame numbers at that rate, of any shape.

    Returns:
        Int64, of the same shape, frame numbers of the video.
    """
    moments = times[0] + numbers / fps + ROUNDING
    return (np.searchsorted(times, moments, 'right') - 1).clip(0, len(times) - 1)


class Windows(NamedTuple):
    """Clips at equal distances all along a video.

    Attributes:
        frame_inds: (N, T) int64 frame numbers; the last frame is repeated where the video is
            shorter than one clip.
        seconds: (N, 2) float64, where each clip begins and ends, from the first frame on.
    """

    frame_inds: np.ndarray
    seconds: np.ndarray


def plan_windows(
    num_frames: int,
    fps: float,
    times: np.ndarray | None,
    clip_len: int,
    frame_interval: int,
    stride: float,
    target_fps: float = 30.0,
) -> Windows:
    """Every ``stride`` frames a clip, as long as one fits; one at least.

    Args:
        num_frames: V.
        fps: Frames per second of the video; 0 when unknown.
        times: (V,) seconds at which the frames appear, rising; None when unknown. Where the rate
            varies, the clips are those of the same video at a constant ``target_fps``.
        clip_len: T.
        frame_interval: Frames from one to the next, at ``target_fps``.
        stride: Frames from one clip to the next, at ``target_fps``.
        target_fps: Rate that interval and stride refer to.
    """
    span = clip_span(clip_len, frame_interval, fps, target_fps)
    varies = times is not None and rate_varies(times, span)
    if times is not None and varies:
        fps, num_frames = target_fps, num_shown(times, target_fps)
        span = clip_span(clip_len, frame_interval, fps, target_fps)
    rate = fps or target_fps
    step = stride * rate / target_fps
    number = max(int((num_frames - span) / step + ROUNDING) + 1, 1)
    starts = np.arange(number) * step
    frame_inds = np.stack([clip_frames(start, span, clip_len, num_frames) for start in starts])
    if times is not None and varies:
        frame_inds = frames_shown(times, target_fps, frame_inds)
    return Windows(frame_inds, np.stack([starts, starts + span], axis=1) / rate)
