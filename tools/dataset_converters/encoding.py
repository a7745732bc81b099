"""Videos written so that clips are read out of them quickly: H.264 that decodes fast."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
from av.video.frame import PictureType
from common import written_whole
from decoding import (
    BT601,
    LIMITED,
    Picture,
    Scaler,
    at_rate,
    new_size,
    pictures,
    upright_size,
    with_ends,
)

from mmmae_st.datasets.readers.container import open_container, video_stream
from mmmae_st.datasets.readers.frame_folder import FrameFolderReader


@dataclass(frozen=True)
class Settings:
    """How videos are written.

    Attributes:
        short_side: Pixels; smaller videos keep their size.
        fps: Frames a second that are kept of videos that have more; None keeps all.
        crf: Quality of H.264, lower is better.
        key_frames: Frames from one key frame to the next, at most.
    """

    short_side: int
    fps: float | None
    crf: int
    key_frames: int


@dataclass(frozen=True)
class FrameFolder:
    """How a source that is a folder of frames is read: file names, and frames a second."""

    template: str
    fps: float


def source_pictures(path: str, folder: FrameFolder | None) -> Iterator[Picture]:
    """Frames of a file, or of a folder of frames, in order."""
    if folder is None:
        yield from pictures(path)
        return
    interval = 1 / Fraction(folder.fps).limit_denominator(10**5)
    with FrameFolderReader(path, folder.template) as reader:
        for number in range(reader.num_frames):
            frame = av.VideoFrame.from_ndarray(reader.read([number])[number], format='rgb24')
            frame.time_base = interval
            yield Picture(number * interval, frame)


@dataclass(frozen=True)
class Job:
    """One video to make, from a file or a folder of frames."""

    source: str
    target: str
    settings: Settings
    folder: FrameFolder | None


def run(job: Job) -> dict:
    """Write one video, unless it is there; returns what :func:`describe` says of it.

    Raises:
        OSError, ValueError, VideoReadError: The source cannot be read.
    """
    if not os.path.exists(job.target):
        shown = source_pictures(job.source, job.folder)
        with written_whole(job.target) as temporary:
            encode(at_rate(shown, job.settings.fps), temporary, job.settings)
    return describe(job.target)


def encode(shown: Iterable[Picture], path: str, settings: Settings) -> None:
    """Write pictures as H.264 in MP4: no B-frames, no deblocking, short closed groups, no sound.

    Colours keep their matrix and range, and are tagged with them; times are kept exactly.
    """
    scaler = Scaler()
    output = None
    durations: dict[int, int] = {}
    with av.open(path, 'w') as sink:
        for (time, frame), end in with_ends(shown):
            if output is None:
                width, height = new_size(*upright_size(frame), settings.short_side)
                tick = frame.time_base or Fraction(1, 1000)
                rate = Fraction(settings.fps or 30).limit_denominator(10**5)
                output = sink.add_stream('libx264', rate=rate)  # the times say what it is
                output.width, output.height, output.pix_fmt = width, height, 'yuv420p'
                output.options = {
                    'crf': str(settings.crf),
                    'g': str(settings.key_frames),
                    'tune': 'fastdecode',
                    'bf': '0',
                    'x264-params': 'open-gop=0',
                }
                codec = output.codec_context
                codec.time_base = tick
                codec.thread_count = 1
                _tag_colours(codec, frame)
            small = scaler.planes(frame, width, height)
            small.pts, small.time_base = round(time / tick), tick
            small.pict_type = PictureType.NONE  # the encoder chooses
            durations[small.pts] = round((end - time) / tick)
            _mux(sink, output.encode(small), durations)
        if output is None:
            raise ValueError('has no frame')
        _mux(sink, output.encode(None), durations)


def _mux(
    sink: av.container.OutputContainer, packets: list[av.Packet], durations: dict[int, int]
) -> None:
    for packet in packets:
        packet.duration = durations.pop(packet.pts, 0)  # or the last frame would last no time
        sink.mux(packet)


def _tag_colours(codec: av.VideoCodecContext, frame: av.VideoFrame) -> None:
    """Say in the file what the colours are, as they leave :meth:`Scaler.planes`."""
    if frame.format.is_rgb or frame.format.has_palette:
        codec.colorspace, codec.color_range = BT601, LIMITED
    else:
        codec.colorspace, codec.color_range = frame.colorspace, frame.color_range
        codec.color_primaries, codec.color_trc = frame.color_primaries, frame.color_trc


def describe(path: str) -> dict:
    """What a prepared file holds: ``frames``, ``rate``, ``bytes``, ``key_frames``, ``size``."""
    with open_container(path) as container:
        stream = video_stream(container)
        packets = [packet for packet in container.demux(stream) if packet.size]
        keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
        rate = float(stream.average_rate or 0)
        size = [stream.width, stream.height]
    return dict(
        frames=len(packets),
        rate=round(rate, 3),
        bytes=os.path.getsize(path),
        size=size,
        key_frames=keys,
    )
