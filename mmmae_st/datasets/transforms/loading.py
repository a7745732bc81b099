"""Decode a video once and cut R clips from it."""

import math
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmmae_st.datasets.readers import (
    BaseReader,
    VideoReadError,
    call_with_timeout,
    open_video,
    planes_of_rgb,
    read_errors,
    require_backend,
)
from mmmae_st.datasets.sample_key import view_rng
from mmmae_st.datasets.transforms.frame_sampling import (
    clip_frames,
    clip_span,
    frames_shown,
    num_shown,
    random_start,
    rate_varies,
    segment_frames,
    uniform_starts,
    window_starts,
)
from mmmae_st.registry import TRANSFORMS
from mmmae_st.uncut_clips import UncutClips

UNREADABLE = ('error', 'blank')
BLANK_SHAPE = (256, 256, 3)
LEAST_SHARE = 0.95  # of the frames asked for; below, a warning says that frames are repeated
SAMPLINGS = ('random', 'uniform', 'segment', 'segment_center')


@TRANSFORMS.register_module()
class LoadClips(BaseTransform):
    """Read R clips of T frames from one video, decoding it once (repeated sampling).

    Reads ``path``, ``sample_key`` and optionally ``frame_tmpl`` or ``stored`` (StoredVideo, in
    place of the file at ``path``). Adds ``clips`` (R lists of T frames, (H, W, 3) uint8 RGB, shared
    between clips that take the same frame), ``frame_inds`` ((R, T) int64) and ``rngs`` (R
    generators, seeded with (seed, epoch, index, view)).

    A video shorter than a clip repeats its last frame, and one of fewer frames a second than are
    asked for repeats others; each is warned of once. Where the frame rate varies (see
    :func:`rate_varies`) a clip is chosen as from the same video at a constant ``target_fps``, each
    frame shown until the next one appears: it lasts as long as any other.

    Args:
        clip_len: T. Defaults to 16.
        frame_interval: Frames from one to the next, at ``target_fps``. Defaults to 4.
        num_clips: R. Defaults to 1.
        sampling: ``'random'``: each clip starts anywhere; ``'uniform'``: the clips are
            spread evenly (test); ``'segment'``: one random frame out of each of T equal segments;
            ``'segment_center'``: the central one (test; R must be 1). Defaults to 'random'.
        target_fps: Frame rate that ``frame_interval`` refers to; a video of another rate
            is sampled so that a clip lasts equally long. Defaults to 30.
        backend: ``'pyav'`` or ``'decord'``. Defaults to 'pyav'.
        backend_args: Arguments of mmengine's file backend. Defaults to None.
        unreadable: What an unreadable video comes to: ``'error'`` (default), by which the
            dataset replaces it or stops; or ``'blank'``, for validation and testing: black frames,
            and a note under ``failures`` for :class:`BrokenVideosHook`.
        timeout: Seconds after which a video counts as unreadable, for decoders that hang
            on damaged files. Defaults to 120.
        short_side: Bounds the memory of a worker: frames whose short side is at least
            twice as long are averaged down by a whole factor as they are decoded, to no less than
            this. Without, the clips of one 4K video take 1.6 GiB. Defaults to None.
        window: Seconds of a video out of which all its R clips are taken (``'random'`` sampling
            only), so that less is decoded. Each clip alone starts anywhere, as without, but the
            clips of one video are more alike. Defaults to None, the whole video.
        cut_on_device: ``clips`` are :class:`UncutClips`: crops, resizes and flips that follow are
            drawn as ever and carried out by ``ClipDataPreprocessor`` on the device. Not with
            ``short_side``. Defaults to False.

    Raises:
        ValueError: A bad argument.
        VideoReadError: The video cannot be read and is not to be blank.
    """

    def __init__(
        self,
        clip_len: int = 16,
        frame_interval: int = 4,
        num_clips: int = 1,
        sampling: str = 'random',
        target_fps: float = 30,
        backend: str = 'pyav',
        backend_args: dict | None = None,
        unreadable: str = 'error',
        timeout: float = 120,
        short_side: int | None = None,
        window: float | None = None,
        cut_on_device: bool = False,
    ) -> None:
        counts = dict(clip_len=clip_len, frame_interval=frame_interval, num_clips=num_clips)
        if short_side is not None:
            counts['short_side'] = short_side
        for name, value in counts.items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f'{name} must be an integer >= 1, got {value!r}')
        if sampling not in SAMPLINGS:
            raise ValueError(f'sampling must be one of {SAMPLINGS}, got {sampling!r}')
        if sampling == 'segment_center' and num_clips != 1:
            raise ValueError(f"num_clips must be 1 with sampling='segment_center', got {num_clips}")
        if not target_fps > 0:
            raise ValueError(f'target_fps must be > 0, got {target_fps!r}')
        if unreadable not in UNREADABLE:
            raise ValueError(f'unreadable must be one of {UNREADABLE}, got {unreadable!r}')
        if not timeout > 0:
            raise ValueError(f'timeout must be > 0, got {timeout!r}')
        require_backend(backend)
        if window is not None and sampling != 'random':
            raise ValueError(f"window goes with sampling='random' only, got {sampling!r}")
        seconds = clip_len * frame_interval / target_fps
        if window is not None and not window >= seconds:
            raise ValueError(f'window must be at least a clip, {seconds:.4g} s, got {window!r}')
        if cut_on_device and short_side is not None:
            raise ValueError(
                'short_side and cut_on_device exclude each other: prepare large videos with '
                'tools/dataset_converters/prepare_videos.py'
            )
        self.clip_len = clip_len
        self.frame_interval = frame_interval
        self.num_clips = num_clips
        self.sampling = sampling
        self.target_fps = target_fps
        self.backend = backend
        self.backend_args = backend_args
        self.unreadable = unreadable
        self.timeout = timeout
        self.short_side = short_side
        self.window = window
        self.cut_on_device = cut_on_device
        # Which warnings were given: in shared memory, since one worker speaks for all.
        self._warned = torch.zeros(2, dtype=torch.bool, device='cpu').share_memory_()

    @property
    def asked_fps(self) -> float:
        """Frames a second that clips take; infinite for segments, which need all of them."""
        is_dense = self.sampling in ('random', 'uniform')
        return self.target_fps / self.frame_interval if is_dense else math.inf

    def transform(self, results: dict) -> dict:
        """Add ``clips``, ``frame_inds`` and ``rngs``."""
        rngs = [view_rng(results['sample_key'], view) for view in range(self.num_clips)]
        try:
            frame_inds, clips = call_with_timeout(lambda: self.decode(results, rngs), self.timeout)
        except VideoReadError as error:
            if self.unreadable == 'error':
                raise
            results['failures'].append((results['path'], str(error)))
            frame_inds = np.zeros((self.num_clips, self.clip_len), np.int64)
            blank = np.zeros(BLANK_SHAPE, np.uint8)
            if self.cut_on_device:
                clips = UncutClips(planes_of_rgb([blank]), frame_inds)
            else:
                clips = clips_of({0: blank}, frame_inds)
        results['clips'] = clips
        results['frame_inds'] = frame_inds
        results['rngs'] = rngs
        return results

    def decode(
        self, results: dict, rngs: list[np.random.Generator]
    ) -> tuple[np.ndarray, list[list[np.ndarray]] | UncutClips]:
        """Choose frames and read them: (R, T) frame numbers, and the clips."""
        with (
            read_errors(),
            open_video(
                results['path'],
                self.backend,
                results.get('frame_tmpl'),
                self.backend_args,
                results.get('stored'),
            ) as reader,
        ):
            frame_inds = self.sample(reader.num_frames, reader.fps, rngs, reader.times)
            self._warn_of_repeats(results['path'], reader)
            wanted = frame_inds.ravel().tolist()
            if not self.cut_on_device:
                return frame_inds, clips_of(reader.read(wanted, self.short_side), frame_inds)
            numbers, planes = reader.read_planes(wanted)
            return frame_inds, UncutClips(planes, np.searchsorted(numbers, frame_inds))

    def sample(
        self,
        num_frames: int,
        fps: float,
        rngs: list[np.random.Generator],
        times: np.ndarray | None = None,
    ) -> np.ndarray:
        """Choose the frames: (R, T) int64. ``times`` are those of the frames, where known."""
        if self.sampling == 'segment':
            return np.stack([segment_frames(num_frames, self.clip_len, rng) for rng in rngs])
        if self.sampling == 'segment_center':
            return segment_frames(num_frames, self.clip_len, None)[None]
        if times is None or not rate_varies(times, self._span(fps)):
            return self._dense(num_frames, fps, rngs)
        numbers = self._dense(num_shown(times, self.target_fps), self.target_fps, rngs)
        return frames_shown(times, self.target_fps, numbers)

    def _span(self, fps: float) -> float:
        return clip_span(self.clip_len, self.frame_interval, fps, self.target_fps)

    def _dense(self, num_frames: int, fps: float, rngs: list[np.random.Generator]) -> np.ndarray:
        span = self._span(fps)
        starts: Sequence[float]
        if self.window is not None:
            window = self.window * (fps or self.target_fps)
            starts = window_starts(num_frames, span, window, rngs)
        elif self.sampling == 'random':
            starts = [random_start(num_frames, span, rng) for rng in rngs]
        else:
            starts = uniform_starts(num_frames, span, self.num_clips)
        return np.stack([clip_frames(s, span, self.clip_len, num_frames) for s in starts])

    def _warn_of_repeats(self, path: str, reader: BaseReader) -> None:
        """Say once that a video is too short for a clip, and once that it has too few frames."""
        if self.sampling in ('random', 'uniform'):
            span = self._span(reader.fps)
            seconds = span / (reader.fps or self.target_fps)
            too_short = (
                f'holds {reader.num_frames} frames of the {span:.4g} that a clip of {seconds:.4g} '
                'seconds spans: its last frame is repeated'
            )
            too_slow = (
                f'has {reader.fps:.4g} frames/s and {self.asked_fps:.4g} are asked for (target_fps='
                f'{self.target_fps:g} / frame_interval={self.frame_interval}): frames are repeated'
            )
            kinds = {
                too_short: reader.num_frames < LEAST_SHARE * span,
                too_slow: 0 < reader.fps < LEAST_SHARE * self.asked_fps,
            }
        else:
            too_few = f'holds {reader.num_frames} frames for {self.clip_len} segments'
            kinds = {f'{too_few}: frames are repeated': reader.num_frames < self.clip_len}
        for kind, (text, applies) in enumerate(kinds.items()):
            if applies and not self._warned[kind]:
                self._warned[kind] = True
                warnings.warn(f'{path} {text}. More such videos are not named')


def clips_of(frames: dict[int, np.ndarray], frame_inds: np.ndarray) -> list[list[np.ndarray]]:
    """R lists of T frames, shared between clips that take the same frame."""
    return [[frames[index] for index in clip] for clip in frame_inds.tolist()]
