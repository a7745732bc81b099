"""Writing of videos."""

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np

from mmmae_st.fileio.atomic_file import written_whole


def write_video(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: int = 30,
    crf: int = 20,
    gop: int = 30,
) -> None:
    """Write an H.264 mp4; it has its final name only when it is complete.

    The same frames give the same bytes: without x264's macroblock tree, which reads memory that
    it has not written.

    Args:
        path: File to write, in a folder that exists; an older one is replaced.
        frames: uint8 RGB (H, W, 3), H and W even, at least one.
        fps: Frames per second.
        crf: x264's quality, 0 (lossless) to 51.
        gop: Frames between key frames at most.

    Raises:
        ValueError: If there is no frame, or its size is odd.
    """
    options = {
        'crf': str(crf), 'preset': 'veryfast', 'threads': '1', 'x264-params': 'mbtree=0',
    }  # fmt: skip
    stream = None
    with written_whole(path) as part, av.open(str(part), 'w', format='mp4') as container:
        for image in frames:
            if stream is None:
                height, width = image.shape[:2]
                if height % 2 or width % 2:
                    raise ValueError(f'frames must have even sizes, got {height} x {width}')
                stream = container.add_stream('libx264', rate=fps, options=options)
                stream.height, stream.width, stream.pix_fmt = height, width, 'yuv420p'
                stream.codec_context.gop_size = gop
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        if stream is None:
            raise ValueError(f'frames must hold at least one frame, got none for {path}')
        container.mux(stream.encode())
