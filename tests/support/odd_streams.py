"""Streams as cameras, editors and recorders write them, and damaged ones; made of whole clips."""

import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av


class Coded(NamedTuple):
    """A packet, to be changed."""

    data: bytes
    pts: int
    dts: int
    is_key: bool
    time_base: Fraction


Change = Callable[[list[Coded]], list[Coded]]


def edit(source: Path, target: Path, change: Change) -> Path:
    """Write the changed packets of a clip to another file."""
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        packets = [
            Coded(bytes(packet), packet.pts, packet.dts, packet.is_keyframe, packet.time_base)
            for packet in container.demux(stream)
            if packet.size
        ]
        write_packets(target, stream, change(packets))
    return target


def write_packets(target: Path, template: av.VideoStream, packets: Iterable[Coded]) -> None:
    """Write packets to a file."""
    with av.open(str(target), 'w') as container:
        stream = container.add_stream_from_template(template)
        for coded in packets:
            packet = av.Packet(coded.data)
            packet.pts, packet.dts, packet.time_base = coded.pts, coded.dts, coded.time_base
            packet.is_keyframe, packet.stream = coded.is_key, stream
            container.mux(packet)


def second_key(packets: list[Coded]) -> int:
    """Where the second keyframe is."""
    return [i for i, packet in enumerate(packets) if packet.is_key][1]


def shifted(packets: list[Coded], frames: int, begin: int = 0) -> list[Coded]:
    """Packets from ``begin`` on shown and decoded so many frames later."""
    times = sorted(packet.pts for packet in packets)
    ticks = frames * (times[-1] - times[0]) // (len(times) - 1)
    late = [packet._replace(pts=packet.pts + ticks, dts=packet.dts + ticks) for packet in packets]
    return packets[:begin] + late[begin:]


def with_data(packets: list[Coded], number: int, change: Callable[[bytes], bytes]) -> list[Coded]:
    """One packet with other content."""
    packet = packets[number]
    return [*packets[:number], packet._replace(data=change(packet.data)), *packets[number + 1 :]]


def noisy(data: bytes) -> bytes:
    """Every tenth byte behind the header is another."""
    changed = bytearray(data)
    for i in range(min(20, len(data) // 2), len(data), 10):
        changed[i] ^= 0x55
    return bytes(changed)


def of_old_x264(data: bytes) -> bytes:
    """The first packet as of an x264 whose 4:4:4 is decoded by other rules."""
    return re.sub(rb'x264 - core \d+', b'x264 - core 148', data)


def without_first_sync_sample(path: Path) -> None:
    """Strike the first entry out of the table of keyframes of an .mp4 file."""
    content = bytearray(path.read_bytes())
    start = content.index(b'stss') + 8
    count = int.from_bytes(content[start : start + 4], 'big')
    content[start : start + 4] = (count - 1).to_bytes(4, 'big')
    content[start + 4 : start + 4 * count] = content[start + 8 : start + 4 + 4 * count]
    path.write_bytes(content)


def packed(packets: list[Coded]) -> list[Coded]:
    """MPEG-4 as DivX packs it: a B-frame in the packet before its own, which holds next to none."""
    version = b'\0\0\1\xb2DivX503b1393p'

    def kind(packet: Coded) -> int:
        return packet.data[packet.data.index(b'\0\0\1\xb6') + 4] >> 6

    result: list[Coded] = []
    for packet in packets:
        if kind(packet) == 2:  # a B-frame
            result[-1] = result[-1]._replace(data=result[-1].data + packet.data)
            result.append(packet._replace(data=b'\0\0\1\xb6\x57\x3f\xff', is_key=False))
        else:
            result.append(packet)
    begin = result[0].data.index(b'\0\0\1\xb6')
    result[0] = result[0]._replace(data=result[0].data[:begin] + version + result[0].data[begin:])
    return [packet._replace(pts=i, dts=i) for i, packet in enumerate(result)]


def write_fields(path: Path, num_frames: int = 20) -> None:
    """H.264 whose fields are packets with times of their own; frame i has the luma 20 + 10 i.

    No encoder of PyAV writes such. Each frame of 32x32 is an IDR of uncompressed blocks (I_PCM).
    """
    sets = nal(0x67, '010011010000000000011110' + ue(0, 0, 2, 1) + '0' + ue(1, 0) + '00100')
    sets += nal(0x68, ue(0, 0) + '00' + ue(0, 0, 0) + '000' + ue(0, 0, 0) + '000')
    fields = []
    for i in range(2 * num_frames):
        is_bottom = i % 2
        header = ue(0, 7, 0) + '00001' + str(is_bottom)
        header += ('0' if is_bottom else ue(i // 2 % 2) + '00') + ue(0)
        block = bytes([20 + 10 * (i // 2)]) * 256 + bytes([128]) * 128
        fields.append(nal(0x61 if is_bottom else 0x65, header, [block, block]))
    raw = path.with_suffix('.h264')
    raw.write_bytes(sets + b''.join(fields))
    with av.open(str(raw)) as container:
        first_of_all = [
            Coded((b'' if i else sets) + field, 20 * i, 20 * i, not i % 2, Fraction(1, 1000))
            for i, field in enumerate(fields)
        ]
        write_packets(path, container.streams.video[0], first_of_all)


def ue(*values: int) -> str:
    """Numbers in the Exp-Golomb code of H.264."""
    codes = [f'{value + 1:b}' for value in values]
    return ''.join('0' * (len(code) - 1) + code for code in codes)


def nal(kind: int, bits: str, blocks: Iterable[bytes] = ()) -> bytes:
    """A unit of H.264: a header, and uncompressed blocks of pixels if there are any."""
    payload = b''
    for block in blocks:
        payload, bits = payload + to_bytes(bits + ue(25)) + block, ''
    payload += to_bytes(bits + '1')
    return b'\0\0\0\1' + bytes([kind]) + re.sub(b'\0\0([\0-\3])', b'\0\0\3\\1', payload)


def to_bytes(bits: str) -> bytes:
    """Bits as bytes, filled up with zeros."""
    bits += '0' * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, 'big')
