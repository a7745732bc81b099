"""What a loader is timed beside: decoding alone, and decoding whole files for every clip.

Both are the dataset of the config with another first transform, so that they take the same frames
of the same videos.
"""

import copy
from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from mmengine.dataset import Compose

from mmmae_st.datasets import VideoDataset
from mmmae_st.datasets.readers import VideoReadError, open_video, read_errors
from mmmae_st.datasets.readers.container import (
    open_container,
    orientation,
    upright,
    video_stream,
)
from mmmae_st.datasets.transforms import LoadClips
from mmmae_st.datasets.transforms.loading import clips_of


@dataclass(frozen=True)
class VideoInfo:
    """What the references know of a file beforehand.

    Attributes:
        num_frames: Frames of the file.
        fps: Frames per second.
        times: Presentation time of each frame in units of the stream; empty where the file
            tells none.
        width: Pixels.
        height: Pixels.
        codec: Name of the decoder.
        seconds: When the frames appear, where the reader knows it.
    """

    num_frames: int
    fps: float
    times: Sequence[int]
    width: int
    height: int
    codec: str
    seconds: np.ndarray | None = None

    @classmethod
    def of(cls, path: str, backend: str) -> 'VideoInfo':
        """Look at a file without decoding it.

        Raises:
            VideoReadError: It cannot be read; the message names it.
        """
        try:
            with (
                read_errors(),
                open_video(path, backend) as reader,
                open_container(path) as container,
            ):
                stream = video_stream(container)
                times = [packet.pts for packet in container.demux(stream) if packet.size]
                known = sorted(time for time in times if time is not None)
                if len(set(known)) < len(times):
                    known = []
                codec = stream.codec_context
                size = (codec.width, codec.height)
                return cls(reader.num_frames, reader.fps, known, *size, codec.name, reader.times)
        except VideoReadError as error:
            raise VideoReadError(f'cannot read {path}: {error}') from error


class ReferenceLoad(LoadClips):
    """``LoadClips`` with another way to the frames.

    Args:
        load (LoadClips): The transform whose arguments are taken over.
        infos (dict[str, VideoInfo]): Path to what is known of the file.
    """

    def __init__(self, load: LoadClips, infos: dict[str, VideoInfo]) -> None:
        super().__init__(
            clip_len=load.clip_len,
            frame_interval=load.frame_interval,
            num_clips=load.num_clips,
            sampling=load.sampling,
            target_fps=load.target_fps,
            backend=load.backend,
            timeout=load.timeout,
            short_side=load.short_side,
            window=load.window,
        )
        self.infos = infos

    def decode(
        self, results: dict, rngs: list[np.random.Generator]
    ) -> tuple[np.ndarray, list[list[np.ndarray]]]:
        """See :class:`LoadClips`."""
        info = self.infos[results['path']]
        frame_inds = self.sample(info.num_frames, info.fps, rngs, info.seconds)
        with read_errors():
            frames = self.fetch(results['path'], info, frame_inds)
        return frame_inds, clips_of(frames, frame_inds)

    @abstractmethod
    def fetch(self, path: str, info: VideoInfo, frame_inds: np.ndarray) -> dict[int, np.ndarray]:
        """Frame number to frame."""


class WholeFileLoad(ReferenceLoad):
    """Decodes the whole file for every clip; colours are converted for wanted frames only."""

    def fetch(self, path: str, info: VideoInfo, frame_inds: np.ndarray) -> dict[int, np.ndarray]:
        """See :class:`ReferenceLoad`."""
        decode = whole_file_decord if self.backend == 'decord' else whole_file_pyav
        frames: dict[int, np.ndarray] = {}
        for wanted in frame_inds.tolist():
            frames.update(decode(path, set(wanted)))
        return frames


class SpanDecoding(ReferenceLoad):
    """Decodes from the keyframe at or before the first wanted frame to the last; gives nothing."""

    def fetch(self, path: str, info: VideoInfo, frame_inds: np.ndarray) -> dict[int, np.ndarray]:
        """See :class:`ReferenceLoad`."""
        decode = span_decord if self.backend == 'decord' else span_pyav
        decode(path, info, int(frame_inds.min()), int(frame_inds.max()))
        return dict.fromkeys(frame_inds.ravel().tolist(), np.empty(0))

    def transform(self, results: dict) -> dict:
        """Decode and return an empty dict."""
        super().transform(results)
        return {}


def span_pyav(path: str, info: VideoInfo, first: int, last: int) -> int:
    """Decode a span with PyAV, one thread, no colour conversion; return the number of frames."""
    with open_container(path) as container:
        stream = video_stream(container)
        if info.times:
            container.seek(info.times[first], stream=stream)
        number = 0
        for number, frame in enumerate(container.decode(stream), 1):
            if frame.pts >= info.times[last] if info.times else number > last:
                break
        return number


def span_decord(path: str, info: VideoInfo, first: int, last: int) -> None:
    """Decode a span with decord, one thread; a skipped frame is decoded but not converted."""
    import decord

    reader = decord.VideoReader(path, num_threads=1)
    reader.seek_accurate(first)
    for _ in range(first, last + 1):
        reader.skip_frames(1)  # more at a time would jump over groups of pictures


def whole_file_pyav(path: str, wanted: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Decode a file with PyAV, one thread; yield (number, frame) of those wanted."""
    with open_container(path) as container:
        stream = video_stream(container)
        for number, frame in enumerate(container.decode(stream)):
            if number in wanted:
                image = frame.to_ndarray(format='rgb24')
                yield number, upright(image, orientation(frame))


def whole_file_decord(path: str, wanted: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Decode a file with decord, one thread; yield (number, frame) of those wanted."""
    import decord

    reader = decord.VideoReader(path, num_threads=1)
    for number in range(len(reader)):
        frame = reader.next()
        if number in wanted:
            yield number, frame.asnumpy()


def span_dataset(dataset: VideoDataset, infos: dict[str, VideoInfo]) -> VideoDataset:
    """The dataset, decoding alone: the frames are thrown away."""
    other = copy.copy(dataset)
    other.pipeline = Compose([SpanDecoding(dataset.pipeline.transforms[0], infos)])
    return other


def whole_file_dataset(dataset: VideoDataset, infos: dict[str, VideoInfo]) -> VideoDataset:
    """The dataset, giving the same samples, but decoding the whole file for every clip."""
    other = copy.copy(dataset)
    load, *transforms = dataset.pipeline.transforms
    other.pipeline = Compose([WholeFileLoad(load, infos), *transforms])
    return other
