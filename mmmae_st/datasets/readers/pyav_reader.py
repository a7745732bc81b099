"""PyAV behind the reader interface: exact frames, decoding only what is needed.

All packets are read once without decoding them, and their times number the frames (numbering.py).
A wanted frame is decoded from the last keyframe shown at or before it, so the leading pictures of
an open group are never taken from the wrong side. Frames that nobody wants and nothing refers to
are not decoded (``skip_frame``), and colours are converted for wanted frames only. Where this does
not serve (no times, a seek that fails, a frame that comes out damaged or not at all), the file is
decoded from its start. Where an index says what is in the file, the table of its container numbers
the frames, and no packet is read for that.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import chain, islice
from typing import BinaryIO

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter

from mmmae_st.datasets.readers.base import BaseReader, VideoReadError, check_frames, shrink
from mmmae_st.datasets.readers.container import (
    is_damaged,
    open_container,
    orientation,
    upright,
    video_stream,
)
from mmmae_st.datasets.readers.numbering import (
    KeyPacket,
    Numbering,
    begin_as_decoded,
    frame_rate,
    has_split_fields,
    in_seconds,
    number_by_dts,
    number_by_pts,
    number_by_table,
    packet_times,
)
from mmmae_st.datasets.readers.stored import Contents
from mmmae_st.uncut_clips import Planes

# Decoding on costs less than flushing the decoder and seeking when a gap is shorter than this.
MIN_SEEK_GAP = 8
# Decoders that skip a packet's own frame; others (AV1) would skip one that is still on its way.
SKIPPING_DECODERS = ('h264', 'hevc')
PROGRESSIVE = 1  # AV_FIELD_PROGRESSIVE; 0 is unknown, more is interlaced
BT601, LIMITED, FULL = 5, 1, 2  # FFmpeg's numbers for colour space and range


class PyAVReader(BaseReader):
    """Reads frames with PyAV (FFmpeg), one thread, for loader workers run side by side.

    Frames are turned and mirrored as the file states.

    Args:
        source: Local path or file object.
        contents: What is in the file, where that is known. Defaults to None.

    Raises:
        VideoReadError: No video stream, no decoder for it, no frame in it, or other frames than
            ``contents`` says.
        av.FFmpegError: FFmpeg cannot read the file.
    """

    def __init__(self, source: str | BinaryIO, contents: Contents | None = None) -> None:
        self._source = source
        self._reformatter = VideoReformatter()
        self._open()
        try:
            self._numbering = self._number_frames(contents)
            times: Sequence[int | None]
            if self._numbering:
                times = self._numbering.times
            else:
                times = [frame.pts for frame in self._decode_all()]
            self.num_frames = len(times)
            if self.num_frames == 0:
                raise VideoReadError('no frame in the video stream')
            self.times = in_seconds(times, self._stream.time_base)
            if contents is not None:
                self.fps = contents.rate
                return
            stated = float(self._stream.average_rate or self._stream.guessed_rate or 0)
            self.fps = frame_rate(stated, self.times)
            self.stated_seconds = self._stated_seconds(stated)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """See :class:`BaseReader`."""
        self._container.close()

    def _open(self) -> None:
        self._container = open_container(self._source)
        try:
            self._stream = video_stream(self._container)
        except BaseException:
            self.close()
            raise
        self._is_primed = False

    def _stated_seconds(self, fps: float) -> float:
        """What the file says of its length: for the track, the whole file or by counting frames."""
        track, whole = self._stream.duration, self._container.duration
        if track and self._stream.time_base:
            lasts = float(track * self._stream.time_base)
        else:
            lasts = whole / av.time_base if whole else 0.0
        return max(lasts, self._stream.frames / fps if fps else 0.0)

    def _rewind(self) -> None:
        """Open the file anew: some formats cannot seek to their start, others leave out frames."""
        self.close()
        if not isinstance(self._source, str):
            self._source.seek(0)
        self._open()

    def _number_frames(self, contents: Contents | None) -> Numbering | None:
        """Number the frames by their times; None where they have to be counted."""
        codec = self._stream.codec_context
        demuxed = self._container.demux(self._stream)
        self._first_packet = next(demuxed)
        if contents is not None:
            table = [(entry.timestamp, entry.is_keyframe) for entry in self._stream.index_entries]
            return number_by_table(table, contents)
        packets = packet_times(chain([self._first_packet], demuxed))
        # These store no times of showing; those made up are wrong where frames are reordered.
        if self._container.format.name in ('avi', 'asf') and codec.has_b_frames:
            first = next(self._decode_all(), None)
            held_back = self._stream.codec_context.decode(None)
            return number_by_dts(packets, first.dts if first else None, len(held_back))
        numbering = number_by_pts(packets)
        if numbering is None:
            return None
        # PyAV before 18 does not tell the order of fields.
        if codec.name == 'h264' and getattr(codec, 'field_order', 0) > PROGRESSIVE:
            first_times = [frame.pts for frame in islice(self._decode_all(), 8)]
            if has_split_fields(numbering.times, first_times):
                return None
        if numbering.times[0] == numbering.keys[0].time and packets[0].is_key:
            return numbering
        with suppress(av.FFmpegError):
            return begin_as_decoded(numbering, (frame.pts for frame in self._decode_all()))
        return numbering

    def read(self, indices: Sequence[int], short_side: int | None = None) -> dict[int, np.ndarray]:
        """See :class:`BaseReader`."""
        return check_frames(dict(self.stream(indices, short_side)), indices)

    def stream(
        self, indices: Sequence[int], short_side: int | None = None
    ) -> Iterator[tuple[int, np.ndarray]]:
        """See :class:`BaseReader`."""
        for index, frame in self._decoded(sorted(set(indices))):
            yield index, self._to_rgb(frame, short_side)

    def read_planes(self, indices: Sequence[int]) -> tuple[list[int], Planes]:
        """See :class:`BaseReader`."""
        decoded = self._decoded(sorted(set(indices)))
        frames = {index: self._to_planes(frame) for index, frame in decoded}
        check_frames({index: luma for index, (luma, *_) in frames.items()}, indices)
        lumas, chromas, colours = zip(*(frames[index] for index in sorted(frames)), strict=True)
        if len(set(colours)) > 1:
            raise VideoReadError(f'the colour space changes within the video: {set(colours)}')
        luma, chroma = (torch.from_numpy(np.stack(planes)) for planes in (lumas, chromas))
        return sorted(frames), Planes(luma, chroma, *colours[0])

    def _decoded(self, wanted: list[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        """The wanted frames by seeking, and from the start of the file where that fails."""
        left = dict.fromkeys(wanted)
        if self._numbering:
            with suppress(av.FFmpegError, VideoReadError):
                for key, run in self._runs(self._numbering, wanted):
                    decoded = self._decode_run(self._numbering, key, run)
                    for index, frame in self._select(decoded, run):
                        del left[index]
                        yield index, frame
                    if not left.keys().isdisjoint(run):
                        break
        if left:
            yield from self._select(self._decode_all(), list(left))

    def _select(
        self, frames: Iterator[av.VideoFrame], wanted: list[int]
    ) -> Iterator[tuple[int, av.VideoFrame]]:
        """The wanted frames, with their numbers, among those that a decoder gives."""
        if self._numbering is None:
            numbers = {i: i for i in wanted}
            timed: Iterable[tuple[int | None, av.VideoFrame]] = enumerate(frames)
        else:
            numbers = {self._numbering.times[i]: i for i in wanted}
            timed = self._numbering.timed(frames)
        damaged = False
        for time, frame in timed:
            # What refers to a damaged frame is damaged, too.
            damaged = is_damaged(frame) or (damaged and not frame.key_frame)
            if time in numbers:
                index = numbers.pop(time)
                if damaged:
                    raise VideoReadError(f'frame {index} is damaged')
                yield index, frame
            if not numbers:
                return

    def _runs(
        self, numbering: Numbering, wanted: list[int]
    ) -> Iterator[tuple[KeyPacket, list[int]]]:
        """Split frame numbers into runs decoded without a seek; yield (keyframe, run)."""
        times, keys = numbering.times, numbering.keys
        run_key, run = keys[0], list[int]()
        for index in wanted:
            key = keys[bisect_right(keys, times[index], key=lambda key: key.time) - 1]
            key_index = bisect_right(times, key.time) - 1
            if run and key_index - run[-1] >= MIN_SEEK_GAP:
                yield run_key, run
                run = []
            if not run:
                run_key = key
            run.append(index)
        yield run_key, run

    def _decode_run(
        self, numbering: Numbering, key: KeyPacket, run: list[int]
    ) -> Iterator[av.VideoFrame]:
        """Decode from a keyframe on until the frames of the run are out."""
        to_feed = {numbering.times[index] for index in run}
        codec = self._stream.codec_context
        skipping = codec.codec.name in SKIPPING_DECODERS and not numbering.by_dts
        key_pts = None
        for packet in self._packets_from(numbering, key):
            if key_pts is None:
                key_pts = packet.pts
            time = numbering.stamp(packet)
            codec.skip_frame = 'NONREF' if skipping and time not in to_feed else 'DEFAULT'
            for frame in codec.decode(packet if packet.size else None):
                if frame.pts == key_pts and not frame.key_frame:
                    return  # some containers call every packet a keyframe
                yield frame
            to_feed.discard(time)
            if not to_feed:
                if packet.size:
                    yield from codec.decode(None)
                return

    def _packets_from(self, numbering: Numbering, key: KeyPacket) -> Iterator[av.Packet]:
        if key.seek_to is None:
            self._rewind()
            yield from self._container.demux(self._stream)
            return
        self._prime()
        self._container.seek(key.seek_to, stream=self._stream)
        packets = self._container.demux(self._stream)
        for packet in packets:  # a seek may land on an earlier keyframe
            if packet.is_keyframe and numbering.stamp(packet) == key.stamp:
                yield packet
                yield from packets

    def _prime(self) -> None:
        """Show the decoder the first packet: it may hold what later keyframes do not repeat.

        Such is the version of x264 (H.264 4:4:4 before build 151 cannot be decoded without) or a
        palette.
        """
        if not self._is_primed:
            self._is_primed = True
            codec = self._stream.codec_context
            codec.skip_frame = 'ALL' if codec.codec.name in SKIPPING_DECODERS else 'DEFAULT'
            with suppress(av.FFmpegError):
                codec.decode(self._first_packet)

    def _decode_all(self) -> Iterator[av.VideoFrame]:
        self._rewind()
        yield from self._container.decode(self._stream)

    def _to_rgb(self, frame: av.VideoFrame, short_side: int | None) -> np.ndarray:
        image = self._reformatter.reformat(frame, format='rgb24', threads=1).planes[0]
        return upright(shrink(_pixels(image, channels=3), short_side), orientation(frame))

    def _to_planes(self, frame: av.VideoFrame) -> tuple[np.ndarray, np.ndarray, tuple[int, bool]]:
        """Luma (H, W) and chroma (2, ...), upright; colour space and whether the range is full."""
        seen = orientation(frame)
        if frame.format.name not in ('yuv420p', 'yuvj420p'):
            is_rgb = frame.format.is_rgb or frame.format.has_palette
            frame = self._reformatter.reformat(
                frame,
                format='yuv420p',
                dst_colorspace=BT601 if is_rgb else frame.colorspace,
                dst_color_range=LIMITED if is_rgb else frame.color_range,
                threads=1,
            )
        luma, *chroma = (upright(_pixels(plane), seen) for plane in frame.planes)
        full = frame.format.name == 'yuvj420p' or frame.color_range == FULL
        return luma, np.stack(chroma), (int(frame.colorspace), full)


def _pixels(plane: av.video.plane.VideoPlane, channels: int = 1) -> np.ndarray:
    """(height, width) uint8, or with channels behind; a view, as lines are longer than pictures."""
    shape = plane.height, plane.width, channels
    strides = plane.line_size, channels, 1
    image = np.ndarray(shape, np.uint8, buffer=memoryview(plane), strides=strides)
    return image if channels > 1 else image[..., 0]


def contents_of(path: str) -> tuple[Contents, bool]:
    """What is in a file, and whether a reader that is told so numbers the frames by the table.

    Key frames are left out where the times of the packets do not tell which they are.

    Raises:
        VideoReadError, av.FFmpegError: The file cannot be read.
    """
    with closing(PyAVReader(path)) as reader:
        numbering = reader._numbering
        times = numbering.times if numbering else []
        numbers = {time: number for number, time in enumerate(times)}
        keys = [numbers.get(key.time) for key in numbering.keys] if numbering else []
        known = tuple(key for key in keys if key is not None)
        contents = Contents(reader.num_frames, reader.fps, known)
    with suppress(VideoReadError), closing(PyAVReader(path, contents)) as reader:
        return contents, reader._numbering == numbering
    return contents, False
