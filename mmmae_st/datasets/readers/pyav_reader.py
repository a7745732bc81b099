"""PyAV behind the reader interface: exact frames, decoding only what is needed.

All packets are read once without decoding them; their sorted presentation times number the frames.
A wanted frame is decoded from the last keyframe shown at or before it, so the leading pictures of
an open group are never taken from the wrong side. Frames that nobody wants and nothing refers to
are not decoded (``skip_frame``), and colours are converted for wanted frames only. Where the times
do not serve, the file is decoded from its start and the frames are counted.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from .base import BaseReader, VideoReadError, check_frames
from .container import open_container, orientation, upright, video_stream

# Decoding on costs less than flushing the decoder and seeking when a gap is shorter than this.
MIN_SEEK_GAP = 8
# Decoders that skip a packet's own frame; others (AV1) would skip one that is still on its way.
SKIPPING_DECODERS = ('h264', 'hevc')


class PyAVReader(BaseReader):
    """Reads frames with PyAV (FFmpeg), one thread, for loader workers run side by side.

    Frames are turned and mirrored as the file states.

    Args:
        source (str | BinaryIO): Local path or file object.

    Raises:
        VideoReadError: No video stream, no decoder for it, or no frame in it.
        av.FFmpegError: FFmpeg cannot read the file.
    """

    def __init__(self, source: str | BinaryIO) -> None:
        self._container = open_container(source)
        try:
            self._stream = video_stream(self._container)
            self._reformatter = VideoReformatter()
            self._number_frames()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """See :class:`BaseReader`."""
        self._container.close()

    def _number_frames(self) -> None:
        # Numbers only: the packets themselves would hold the whole file in memory.
        packets = [
            (packet.pts, packet.dts, packet.is_keyframe, packet.is_discard)
            for packet in self._container.demux(self._stream)
            if packet.size
        ]
        self._keys = sorted(
            (pts, pts if dts is None else dts)
            for pts, dts, is_key, _ in packets
            if is_key and pts is not None
        )
        times = {pts for pts, _, _, is_discarded in packets if not is_discarded and pts is not None}
        each_has_its_time = len(times) == sum(not is_discarded for *_, is_discarded in packets)
        # AVI stores no presentation times; those made up are wrong where frames are reordered.
        reordered_avi = (
            self._container.format.name == 'avi' and self._stream.codec_context.has_b_frames
        )
        self._times: list[int] = []
        if self._keys and each_has_its_time and not reordered_avi:
            # Pictures shown before the first keyframe refer to what the file does not hold.
            self._times = sorted(time for time in times if time >= self._keys[0][0])
        self.num_frames = len(self._times) or sum(1 for _ in self._decode_all())
        if self.num_frames == 0:
            raise VideoReadError('no frame in the video stream')
        self.fps = self._frame_rate()

    def _frame_rate(self) -> float:
        """The rate that the file states, or the measured one where they differ by over 10 %."""
        stated = float(self._stream.average_rate or self._stream.guessed_rate or 0)
        if len(self._times) < 2 or self._stream.time_base is None:
            return stated
        seconds = float((self._times[-1] - self._times[0]) * self._stream.time_base)
        measured = (len(self._times) - 1) / seconds
        return stated if 0.9 < stated / measured < 1.1 else measured

    def read(self, indices: Sequence[int]) -> dict[int, np.ndarray]:
        """See :class:`BaseReader`."""
        wanted = sorted(set(indices))
        frames: dict[int, np.ndarray] = {}
        if self._times:
            for key, run in self._runs(wanted):
                frames.update(self._decode_run(key, run))
        if len(frames) < len(wanted):  # no times, bad seeking, or keyframes that are none
            frames = dict(self._decode_counting(wanted))
        return check_frames(frames, wanted)

    def _runs(self, wanted: list[int]) -> Iterator[tuple[int, list[int]]]:
        """Split frame numbers into runs decoded without a seek; yield (keyframe, run)."""
        key_times = [time for time, _ in self._keys]
        run_key, run = -1, list[int]()
        for index in wanted:
            key = bisect_right(key_times, self._times[index]) - 1
            key_index = bisect_right(self._times, key_times[key]) - 1
            if run and key_index - run[-1] >= MIN_SEEK_GAP:
                yield run_key, run
                run = []
            if not run:
                run_key = key
            run.append(index)
        yield run_key, run

    def _decode_run(self, key: int, run: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Decode from a keyframe on; yield (frame number, frame) of what is in the run."""
        numbers = {self._times[index]: index for index in run}
        to_feed = set(numbers)
        codec = self._stream.codec_context
        skipping = codec.codec.name in SKIPPING_DECODERS
        for packet in self._packets_from(key):
            codec.skip_frame = 'NONREF' if skipping and packet.pts not in to_feed else 'DEFAULT'
            frames = codec.decode(packet if packet.size else None)
            to_feed.discard(packet.pts)
            if not to_feed and packet.size:
                frames += codec.decode(None)
            for frame in frames:
                if frame.pts in numbers:
                    yield numbers[frame.pts], self._to_rgb(frame)
            if not to_feed:
                return

    def _packets_from(self, key: int) -> Iterator[av.Packet]:
        time, decode_time = self._keys[key]
        self._container.seek(decode_time, stream=self._stream)
        packets = self._container.demux(self._stream)
        for packet in packets:  # a seek may land on an earlier keyframe
            if packet.is_keyframe and packet.pts == time:
                yield packet
                yield from packets

    def _decode_counting(self, wanted: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        for index, frame in enumerate(self._decode_all()):
            if index in wanted:
                yield index, self._to_rgb(frame)
            if index == wanted[-1]:
                return

    def _decode_all(self) -> Iterator[av.VideoFrame]:
        self._container.seek(0)
        self._stream.codec_context.skip_frame = 'DEFAULT'
        return self._container.decode(self._stream)

    def _to_rgb(self, frame: av.VideoFrame) -> np.ndarray:
        image = self._reformatter.reformat(frame, format='rgb24', threads=1).to_ndarray()
        return upright(image, orientation(frame))
