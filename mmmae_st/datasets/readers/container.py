"""How a video file is opened, which of its tracks is read, and which way up its pictures are.

Reader and tools share these functions: what one reads, the others read, in the same way.
"""

import math
from typing import BinaryIO, NamedTuple, cast

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.stream import VideoStream

from mmmae_st.datasets.readers.base import VideoReadError


def open_container(source: str | BinaryIO) -> InputContainer:
    """Open a media file; titles and comments that are not UTF-8 are no error.

    Args:
        source: Local path or file object.

    Raises:
        av.FFmpegError: FFmpeg cannot read the file.
    """
    return av.open(source, mode='r', metadata_errors='ignore')


def video_stream(container: InputContainer) -> VideoStream:
    """The video track that a player would show; one thread decodes it.

    Raises:
        VideoReadError: No video stream, or no decoder for it.
    """
    stream = container.streams.best('video')
    if stream is None:
        raise VideoReadError('no video stream')
    if stream.codec_context is None:
        raise VideoReadError('no decoder for the video stream')
    video = cast(VideoStream, stream)
    video.codec_context.thread_count = 1
    return video


def is_damaged(frame: av.VideoFrame) -> bool:
    """Whether the decoder met errors in a frame and guessed what it shows: it counts as unreadable.

    So do the frames that follow up to the next keyframe, which refer to it. Behind a seek the flag
    may only mean that something earlier is missing.
    """
    return frame.is_corrupt


class Orientation(NamedTuple):
    """What makes a stored picture upright: mirror it left to right if so, then turn it.

    Attributes:
        mirrored: Whether it is mirrored.
        quarter_turns: Turns of 90 degrees counterclockwise, 0 to 3.
    """

    mirrored: bool
    quarter_turns: int


UPRIGHT = Orientation(False, 0)


def orientation(frame: av.VideoFrame) -> Orientation:
    """How the display matrix of the file, or of the stream, wants a picture to be shown.

    Any other angle is rounded to the nearest quarter turn: cameras write quarter turns, and what
    lies between (a horizon straightened by a degree) would need pixels that the file does not hold.
    """
    try:
        # frame.side_data would keep what it gives, which refers to the frame: a circle, so that
        # pictures would fill the memory until Python looks for circles, and leave it in pieces.
        side_data = SideDataContainer(frame)  # type: ignore[call-arg]
    except ValueError:  # beside data of a kind that PyAV does not know, it tells the angle only
        return Orientation(False, round(frame.rotation / 90) % 4)
    if Type.DISPLAYMATRIX not in side_data:
        return UPRIGHT
    matrix = np.frombuffer(bytes(side_data[Type.DISPLAYMATRIX]), np.int32)
    # It takes (x, y), y downwards, to the screen; the entries left out move the origin.
    x_right, x_down, _, y_right, y_down = matrix[:5].tolist()
    mirrored = x_right * y_down - x_down * y_right < 0
    if mirrored:
        x_right, x_down = -x_right, -x_down
    clockwise = math.atan2(x_down - y_right, x_right + y_down)  # of the nearest rotation
    return Orientation(mirrored, round(-2 * clockwise / math.pi) % 4)


def upright(image: np.ndarray, orientation: Orientation) -> np.ndarray:
    """Turn a picture, or one plane of it.

    Args:
        image: (H, W) or (H, W, C), as stored.
        orientation: See :func:`orientation`.

    Returns:
        np.ndarray: (H, W, ...) or, turned by an odd number, (W, H, ...); what is upright already as
        it is, the rest contiguous.
    """
    if orientation == UPRIGHT:
        return image
    if orientation.mirrored:
        image = image[:, ::-1]
    return np.ascontiguousarray(np.rot90(image, orientation.quarter_turns))
