"""Which frame is which: frame numbers from the times of the packets, without decoding them.

A frame is known by its time: when it is shown (pts), or in AVI, which stores no such times, when
the packet that pushes it out of the decoder is decoded (dts). The sorted times number the frames.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import av
import numpy as np

from mmmae_st.datasets.readers.base import VideoReadError
from mmmae_st.datasets.readers.stored import Contents


class PacketTimes(NamedTuple):
    """What numbering needs of a packet; the packets themselves would hold the whole file."""

    pts: int | None
    dts: int | None
    is_key: bool
    is_discarded: bool


class KeyPacket(NamedTuple):
    """Where decoding can begin.

    Attributes:
        time: The first time that a frame decoded from here on may have.
        seek_to: Where to seek; None for the start of the file.
        stamp: The time of the packet itself.
    """

    time: int
    seek_to: int | None
    stamp: int


class Numbering(NamedTuple):
    """Frame ``i`` has the time ``times[i]``.

    Attributes:
        times: Sorted; in units of the stream's time base.
        keys: Sorted; the first is not after the first frame.
        by_dts: Whether frames are known by their dts, not by their pts.
    """

    times: list[int]
    keys: list[KeyPacket]
    by_dts: bool = False

    def stamp(self, packet: av.Packet) -> int | None:
        """The time of a packet."""
        return packet.dts if self.by_dts else packet.pts

    def timed(self, frames: Iterable[av.VideoFrame]) -> Iterator[tuple[int | None, av.VideoFrame]]:
        """Frames as a decoder gives them, each with its time."""
        time: int | None = None
        for frame in frames:
            if not self.by_dts:
                time = frame.pts
            elif frame.dts is not None:
                time = frame.dts
            elif time is not None:  # at the end of the file no packet pushes
                time += 1
            yield time, frame


def packet_times(packets: Iterable[av.Packet]) -> list[PacketTimes]:
    """The times of all packets that hold anything."""
    return [
        PacketTimes(packet.pts, packet.dts, packet.is_keyframe, packet.is_discard)
        for packet in packets
        if packet.size
    ]


def number_by_pts(packets: Sequence[PacketTimes]) -> Numbering | None:
    """Number the frames by the times at which they are shown; None where these do not serve.

    They do not serve where a frame has none, where two have the same, where decoding times fall
    (recordings joined end to end start their clocks anew), and where there is no keyframe.
    """
    shown = [packet.pts for packet in packets if not packet.is_discarded]
    times = sorted({pts for pts in shown if pts is not None})
    keys = sorted(
        KeyPacket(pts, pts if dts is None else dts, pts)
        for pts, dts, is_key, _ in packets
        if is_key and pts is not None
    )
    decoded = [packet.dts for packet in packets if packet.dts is not None]
    if not times or not keys or len(times) < len(shown) or min(gaps(decoded), default=0) < 0:
        return None
    return Numbering(times, keys)


def number_by_table(table: Sequence[tuple[int, bool]], contents: Contents) -> Numbering:
    """Number the frames by the table of a container that stores them in the order of their times.

    Args:
        table: Time of each frame, and whether it is a keyframe.
        contents: What is known to be in the file.

    Raises:
        VideoReadError: The table says otherwise.
    """
    keys = tuple(number for number, (_, is_key) in enumerate(table) if is_key)
    if len(table) != contents.frames or keys != contents.key_frames:
        raise VideoReadError(
            f'file and index differ: {len(table)} frames, {len(keys)} of them keyframes, in the '
            f'file, {contents.frames} and {len(contents.key_frames)} in the index'
        )
    times = [time for time, _ in table]
    return Numbering(times, [KeyPacket(times[key], times[key], times[key]) for key in keys])


def number_by_dts(
    packets: Sequence[PacketTimes], first_frame: int | None, held_back: int
) -> Numbering | None:
    """Number the frames by the packets that push them out of the decoder, each packet one.

    Args:
        packets: All packets.
        first_frame: The dts of the first frame that the decoder gives.
        held_back: Frames that the decoder holds when it has given the first.

    Returns:
        None where the times do not serve.
    """
    pushing = [packet.dts for packet in packets if packet.dts is not None]
    if first_frame not in pushing or min(gaps(pushing), default=1) < 1:
        return None
    # At the end of the file no packet pushes out what is left.
    times = pushing + [pushing[-1] + 1 + i for i in range(held_back)]
    first = times.index(first_frame)
    # From a keyframe nearer to the end nothing is pushed out: its frames would have no time.
    keys = [
        KeyPacket(times[i + held_back], pushing[i], pushing[i])
        for i, packet in enumerate(packets[: len(packets) - held_back])
        if packet.is_key
    ]
    return Numbering(times[first:], keys, by_dts=True) if keys else None


def begin_as_decoded(numbering: Numbering, decoded: Iterable[int | None]) -> Numbering:
    """Of the frames at the start keep those that can be decoded.

    Pictures shown before the first keyframe may refer to what the file does not hold, and a
    decoder that begins elsewhere than at a keyframe leaves out what it cannot show: only it knows.

    Args:
        numbering: By pts.
        decoded: Times of the frames that decoding from the start gives.
    """
    leading = list[int]()
    for time in decoded:
        if time is not None and time >= numbering.keys[0].time:
            times = sorted(leading) + numbering.times[bisect_left(numbering.times, time) :]
            start = [KeyPacket(times[0], None, times[0])]
            return Numbering(times, start + numbering.keys if leading else numbering.keys)
        if time is not None:
            leading.append(time)
    return numbering


def has_split_fields(times: Sequence[int], first_frames: Sequence[int | None]) -> bool:
    """Whether the two fields of a frame are packets with a time each.

    Args:
        times: Sorted times of all packets.
        first_frames: Times of some frames at the start, as decoded.
    """
    frame_gaps = gaps(sorted(time for time in first_frames if time is not None))
    return min(gaps(times), default=math.inf) < 0.75 * min(frame_gaps, default=math.inf)


def gaps(times: Sequence[int]) -> list[int]:
    """The time from each frame to the next."""
    return [after - before for before, after in pairwise(times)]


def in_seconds(times: Sequence[int | None], time_base: Fraction | None) -> np.ndarray | None:
    """Times of frames as (V,) float64; None where they are not known or do not rise."""
    known = [time for time in times if time is not None]
    if not time_base or len(known) < len(times) or min(gaps(known), default=1) < 1:
        return None
    return np.array(known) * float(time_base)


def frame_rate(stated: float, times: np.ndarray | None) -> float:
    """Frames per second: what the file states, or what the times of the frames come to.

    The stated rate holds where the usual time from frame to frame agrees with it within one per
    cent (and a millisecond, to which times may be rounded), and the mean within ten per cent: some
    frames may be missing.

    Args:
        stated: 0 when unknown.
        times: (V,) seconds at which the frames appear, rising; None when
            unknown.
    """
    if times is None or len(times) < 2:
        return stated
    measured = float((len(times) - 1) / (times[-1] - times[0]))
    usual = np.median(np.diff(times))
    if 0.9 < stated / measured < 1.1 and abs(usual - 1 / stated) <= 0.01 / stated + 0.001:
        return stated
    return measured
