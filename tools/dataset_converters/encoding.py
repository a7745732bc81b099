"""Videos written so that clips are read out of them quickly."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

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


class Codec(NamedTuple):
    """A way to write videos that decode fast: no frame refers to a later one, nothing is smoothed.

    Attributes:
        encoder (str): FFmpeg's name.
        quality (int): The usual one; of H.264 the rate factor, of MPEG-4 the quantizer.
        worst (int): The largest.
        options (dict[str, str]): Of the encoder; ``{quality}`` stands for the quality.
        keeps_colours (bool): Whether files tell colour space and range. Those of MPEG-4 do not:
            it is written as what all players take it for, ITU-R BT.601, limited.
    """

    encoder: str
    quality: int
    worst: int
    options: dict[str, str]
    keeps_colours: bool


CODECS = {
    # Every block is quantized alike, and written in the way that is shortest for its likeness.
    'mpeg4': Codec(
        'mpeg4',
        4,
        31,
        {'qmin': '{quality}', 'qmax': '{quality}', 'b': '50M', 'mbd': 'rd', 'trellis': '1'},
        keeps_colours=False,
    ),
    'h264': Codec(
        'libx264',
        21,
        51,
        {'crf': '{quality}', 'tune': 'fastdecode', 'bf': '0', 'x264-params': 'open-gop=0'},
        keeps_colours=True,
    ),
}


@dataclass(frozen=True)
class Settings:
    """How videos are written.

    Attributes:
        short_side: Pixels; smaller videos keep their size.
        fps: Frames a second that are kept of videos that have more; None keeps all.
        codec: A name of ``CODECS``.
        quality: See :class:`Codec`; lower is better.
        key_frames: Frames from one key frame to the next, at most.
    """

    short_side: int
    fps: float | None
    codec: str
    quality: int
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
    """Write pictures to MP4 in short closed groups, without sound.

    Colours keep their matrix and range, and are tagged with them, where the codec can tell. Times
    are kept exactly: the encoder, whose clock may be coarse, counts frames, and the file gets the
    times.
    """
    scaler = Scaler()
    output = None
    codec = CODECS[settings.codec]
    spans: deque[tuple[int, int]] = deque()  # time and duration of frames that are being encoded
    with av.open(path, 'w') as sink:
        for number, ((time, frame), end) in enumerate(with_ends(shown)):
            if output is None:
                width, height = new_size(*upright_size(frame), settings.short_side)
                tick = frame.time_base or Fraction(1, 1000)
                # The times say what it is; the clock of MPEG-4 has 16 bits.
                rate = Fraction(settings.fps or 30).limit_denominator(1000)
                output = sink.add_stream(codec.encoder, rate=rate)
                output.time_base = tick
                output.width, output.height, output.pix_fmt = width, height, 'yuv420p'
                output.options = {
                    name: value.format(quality=settings.quality)
                    for name, value in codec.options.items()
                } | {'g': str(settings.key_frames)}
                output.codec_context.time_base = 1 / rate
                output.codec_context.thread_count = 1
                if codec.keeps_colours:
                    _tag_colours(output.codec_context, frame)
            small = scaler.planes(frame, width, height, codec.keeps_colours)
            small.pts, small.time_base = number, 1 / rate
            small.pict_type = PictureType.NONE  # the encoder chooses
            spans.append((round(time / tick), round((end - time) / tick)))
            _mux(sink, output.encode(small), spans, tick)
        if output is None:
            raise ValueError('has no frame')
        _mux(sink, output.encode(None), spans, tick)


def _mux(
    sink: av.container.OutputContainer,
    packets: list[av.Packet],
    spans: deque[tuple[int, int]],
    tick: Fraction,
) -> None:
    for packet in packets:  # one a frame, in their order
        time, packet.duration = spans.popleft()  # or the last frame would last no time
        packet.pts = packet.dts = time
        packet.time_base = tick
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
