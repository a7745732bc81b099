"""Files that a video set should not hold, and some that only look as if."""

import os
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np


def audio_only(path: Path) -> None:
    with av.open(str(path), 'w', format='mp4') as container:
        stream = container.add_stream('aac', rate=16000)
        stream.layout = 'mono'
        for i in range(20):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format='fltp', layout='mono'
            )
            frame.sample_rate, frame.pts = 16000, i * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def changing_size(path: Path, make_clip: Callable) -> None:
    parts = []
    for width in (64, 96):
        part = path.with_name(f'part{width}.ts')
        make_clip(part, num_frames=4, width=width)  # any clip holds both sizes
        parts.append(part.read_bytes())
        part.unlink()
    path.write_bytes(b''.join(parts))


def wrong_duration(path: Path, good: bytes) -> None:
    content = bytearray(good)
    for box in (b'mvhd', b'mdhd'):
        start = content.index(box) + 4 + 4 + 8 + 4  # version and flags, two times, time scale
        content[start : start + 4] = (2**31 - 1).to_bytes(4, 'big')
    path.write_bytes(content)


def write_odd_files(folder: Path, make_clip: Callable) -> tuple[list[str], list[str]]:
    """Write one file of each kind; names of those that cannot be read, and of those that can."""
    good = make_clip(folder / 'tmp.mp4', num_frames=30).read_bytes()
    (folder / 'tmp.mp4').unlink()
    write = dict(
        zero_bytes=b'',
        text=b'this is no video\n' * 100,
        one_byte=b'\0',
        zeros=bytes(5000),
        noise=np.random.default_rng(0).bytes(20000),
        html=b'<html><body>404 Not Found</body></html>',
        header_only=good[:32],
    )
    rng = np.random.default_rng(1)
    for i, cut in enumerate(rng.integers(33, len(good) - 33, 12)):
        write[f'cut_{i:02}'] = good[:cut]
    for name, content in write.items():
        (folder / f'{name}.mp4').write_bytes(content)
    bad = [f'{name}.mp4' for name in write]

    audio_only(folder / 'audio_only.mp4')
    (folder / 'dangling.mp4').symlink_to(folder / 'nowhere.mp4')
    (folder / 'link_to_itself.mp4').symlink_to(folder / 'link_to_itself.mp4')
    os.mkfifo(folder / 'pipe.mp4')
    changing_size(folder / 'changing_size.ts', make_clip)
    image = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format='rgb24')
    image.to_image().save(folder / 'image.mp4', format='png')
    (folder / 'zip.mp4').write_bytes(b'PK\x05\x06' + bytes(18))
    bad += ['audio_only.mp4', 'dangling.mp4', 'link_to_itself.mp4', 'pipe.mp4', 'zip.mp4']
    bad += ['changing_size.ts']
    if os.geteuid() != 0:  # root may read everything
        (folder / 'no_permission.mp4').write_bytes(good)
        (folder / 'no_permission.mp4').chmod(0)
        bad.append('no_permission.mp4')

    readable = ['image.mp4']
    kinds = dict(
        one_frame=dict(num_frames=1),
        rotated=dict(rotation=90),
        odd_size=dict(width=65, height=49, pix_fmt='yuv444p'),
        variable_rate=dict(times=np.cumsum(np.arange(10, 40)).tolist(), num_frames=30),
        four_k=dict(width=3840, height=2160, num_frames=2),
        tiny=dict(width=16, height=16),
    )
    for name, args in kinds.items():
        make_clip(folder / f'{name}.mp4', **args)
        readable.append(f'{name}.mp4')
    wrong_duration(folder / 'wrong_duration.mp4', good)
    (folder / 'wrong_extension.avi').write_bytes(good)
    (folder / 'späce and ünicode.mp4').write_bytes(good)
    readable += ['wrong_duration.mp4', 'wrong_extension.avi', 'späce and ünicode.mp4']
    return bad, readable
