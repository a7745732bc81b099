"""Frames of a video in order, as the reader of the package opens, turns and judges them."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from mmmae_st.datasets.readers import open_video
from mmmae_st.datasets.readers.container import (
    is_damaged,
    open_container,
    orientation,
    upright,
    video_stream,
)

# A time may be rounded by this much, in seconds.
ROUNDING = 1e-3
# Numbers that FFmpeg has for the colour space and range of ordinary video.
BT601, LIMITED = 5, 1
BACKWARDS = 1.0  # seconds: a clock that goes back so far starts anew


class Picture(NamedTuple):
    """A frame and when it is shown.

    Attributes:
        time (Fraction): Seconds from the first frame; in a clock that never goes back.
        frame (av.VideoFrame): As it is stored: not turned upright, with the file's own time.
    """

    time: Fraction
    frame: av.VideoFrame


def pictures(path: str, start: float = 0) -> Iterator[Picture]:
    """Decode a video in order.

    Args:
        path: The file.
        start: Seconds of video that may be left out, up to a key frame before them.

    Raises:
        OSError: The file cannot be read.
        VideoReadError: It has no video.
        ValueError: A frame is damaged.
    """
    with open_video(path) as reader:
        times = reader.times
    with open_container(path) as container:
        stream = video_stream(container)
        frames = container.decode(stream)
        first = next(frames, None)
        if first is None:
            raise ValueError('has no frame')
        clock = _Clock(stream, first.pts, times)
        if start and clock.agrees():
            container.seek(first.pts + int(start / clock.tick), stream=stream)
            for number, frame in enumerate(container.decode(stream), 1):
                time = clock.time_of(frame, number)
                # What comes before the start may lack what it refers to.
                yield Picture(time, _sound(frame, number) if time >= start else frame)
            return
        yield Picture(Fraction(0), _sound(first, 0))
        for number, frame in enumerate(frames, 1):
            yield Picture(clock.time(frame, number), _sound(frame, number))


def _sound(frame: av.VideoFrame, number: int) -> av.VideoFrame:
    if is_damaged(frame):
        raise ValueError(f'frame {number} is damaged')
    return frame


class _Clock:
    """Times from the first frame on: the reader's where it knows them; rising in any case."""

    def __init__(self, stream: VideoStream, origin: int | None, times: np.ndarray | None) -> None:
        self.tick = stream.time_base or Fraction(1, 1000)
        self.interval = 1 / (stream.average_rate or stream.guessed_rate or Fraction(30))
        self.origin = origin
        self.ticks = [] if times is None else [round(time / self.tick) for time in times.tolist()]
        self.last = Fraction(0)

    def agrees(self) -> bool:
        """Whether a frame's own time is the reader's, so that it may be sought by it."""
        return bool(self.ticks) and self.ticks[0] == self.origin

    def time(self, frame: av.VideoFrame, number: int) -> Fraction:
        """Of a frame whose number in the file is known."""
        if number < len(self.ticks):
            self.last = (self.ticks[number] - self.ticks[0]) * self.tick
            return self.last
        return self.time_of(frame, number)

    def time_of(self, frame: av.VideoFrame, number: int) -> Fraction:
        """Of a frame by what it says itself."""
        if frame.pts is None or self.origin is None:
            time = number * self.interval
        else:
            time = (frame.pts - self.origin) * self.tick
            if time < self.last - BACKWARDS:  # recordings joined end to end: the clock goes on
                shift = self.last + self.interval - time
                self.origin -= round(shift / self.tick)
                time += shift
        self.last = max(time, self.last + self.tick)
        return self.last


def with_ends(shown: Iterable[Picture]) -> Iterator[tuple[Picture, Fraction]]:
    """Each picture with the time at which the next appears; the last lasts as long as the mean."""
    previous, count = None, 0
    for picture in shown:
        if previous is not None:
            yield previous, picture.time
        previous, count = picture, count + 1
    if previous is not None:
        lasts = previous.time / (count - 1) if count > 1 else Fraction(1, 30)
        yield previous, previous.time + lasts


def at_rate(shown: Iterable[Picture], fps: float | None) -> Iterator[Picture]:
    """The pictures that are seen at 0, 1 / fps, 2 / fps, ... seconds, each once.

    They keep their own times. A video of fewer frames keeps all.
    """
    if fps is None:
        yield from shown
        return
    for picture, end in with_ends(shown):
        slot = np.ceil((float(picture.time) - ROUNDING) * fps) / fps
        if slot < float(end) - ROUNDING:
            yield picture


def upright_size(frame: av.VideoFrame) -> tuple[int, int]:
    """Width and height as it is seen."""
    turned = orientation(frame).quarter_turns % 2
    return (frame.height, frame.width) if turned else (frame.width, frame.height)


def new_size(width: int, height: int, short_side: int | None) -> tuple[int, int]:
    """Width and height with at most the given short side, the aspect kept, in even numbers."""
    scale = min((short_side or min(width, height)) / min(width, height), 1)
    return max(2 * round(width * scale / 2), 2), max(2 * round(height * scale / 2), 2)


class Scaler:
    """Scales frames and turns them upright. One for a video: it keeps tables."""

    def __init__(self) -> None:
        self.reformatter = VideoReformatter()

    def planes(
        self, frame: av.VideoFrame, width: int, height: int, keep_colours: bool = True
    ) -> av.VideoFrame:
        """An upright frame in yuv420p, in the colour space and range that the frame has.

        RGB, which has none, comes out in that of ITU-R BT.601, limited; so does all that is not to
        keep its own.

        Args:
            frame: Any frame.
            width: Of the upright frame, even.
            height: Likewise.
            keep_colours: Keep space and range. Defaults to True.
        """
        seen = orientation(frame)
        stored = (height, width) if seen.quarter_turns % 2 else (width, height)
        has_space = not (frame.format.is_rgb or frame.format.has_palette)
        keeps = keep_colours and has_space
        small = self.reformatter.reformat(
            frame,
            *stored,
            format='yuv420p',
            interpolation=Interpolation.BICUBIC,
            dst_colorspace=frame.colorspace if keeps else BT601,
            dst_color_range=frame.color_range if keeps else LIMITED,
            threads=1,
        )
        if seen.mirrored or seen.quarter_turns:
            luma, chroma = np.vsplit(small.to_ndarray(), [stored[1]])
            parts = [luma, *chroma.reshape(2, stored[1] // 2, stored[0] // 2)]
            turned = np.concatenate([upright(part, seen).ravel() for part in parts])
            small = av.VideoFrame.from_ndarray(turned.reshape(-1, width), format='yuv420p')
        small.pts = None
        return small

    def rgb(
        self, frame: av.VideoFrame, width: int, height: int, order: str = 'rgb24'
    ) -> np.ndarray:
        """(height, width, 3) uint8, upright."""
        seen = orientation(frame)
        stored = (height, width) if seen.quarter_turns % 2 else (width, height)
        small = self.reformatter.reformat(
            frame, *stored, format=order, interpolation=Interpolation.BICUBIC, threads=1
        )
        return upright(small.to_ndarray(), seen)
