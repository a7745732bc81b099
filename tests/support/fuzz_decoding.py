"""Decode mutated videos: python tests/support/fuzz_decoding.py [FILES] [BACKEND]

Each file is one of the seeds with flipped bits, zeroed, swapped, repeated or removed blocks, or a
cut. It is read like a training sample. What may happen is a sample or a VideoReadError; afterwards
memory and descriptors are where they were. Memory is what is in use: what the C library keeps for
later is given back before it is measured.
"""

import ctypes
import gc
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """One to four random changes."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        size = len(data)
        start = int(rng.integers(0, size))
        stop = min(size, start + int(rng.integers(1, 2 + size // 8)))
        kind = rng.integers(7)
        if kind == 0:
            for i in rng.integers(0, size, int(rng.integers(1, 65))):
                data[i] ^= 1 << int(rng.integers(8))
        elif kind == 1:  # sizes and counts of the headers
            for i in rng.integers(0, min(size, 2048), 4):
                data[i] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF]))
        elif kind == 2:
            data[start:stop] = bytes(stop - start)
        elif kind == 3:
            data[start:stop] = rng.bytes(stop - start)
        elif kind == 4:
            data[start:start] = data[start:stop]
        elif kind == 5 and stop - start < size:
            del data[start:stop]
        elif kind == 6 and start > 0:
            del data[start:]
    return bytes(data)


def fuzz(seeds: list[Path], number: int, backend: str = 'pyav', seed: int = 0) -> dict:
    """Decode ``number`` mutated files; counts and what grew."""
    from mmmae_st.datasets import VideoReadError
    from mmmae_st.datasets.transforms import LoadClips

    load = LoadClips(clip_len=8, frame_interval=2, num_clips=2, backend=backend)
    contents = [path.read_bytes() for path in seeds]
    process = psutil.Process()
    outcomes: Counter[str] = Counter()
    slowest, memory = 0.0, []
    with tempfile.TemporaryDirectory() as folder:
        for i in range(number):
            rng = np.random.default_rng((seed, i))
            which = i % len(seeds)
            path = Path(folder, f'{i % 50}{seeds[which].suffix}')
            path.write_bytes(mutate(contents[which], rng))
            began = time.monotonic()
            try:
                results = load(dict(path=str(path), sample_key=(seed, 0, i)))
                assert len(results['clips']) == 2 and len(results['clips'][0]) == 8
                outcomes['read'] += 1
            except VideoReadError as error:
                outcomes[str(error).split(':')[0][:40]] += 1
            slowest = max(slowest, time.monotonic() - began)
            if i % max(number // 20, 1) == 0:
                gc.collect()
                ctypes.CDLL(None).malloc_trim(0)
                memory.append(process.memory_info().rss)
                descriptors = process.num_fds()
                if i == 0:
                    first = descriptors
    return dict(
        files=number, outcomes=dict(outcomes.most_common()), slowest_seconds=round(slowest, 3),
        megabytes=[round(m / 2**20, 1) for m in memory],
        descriptors_grown=process.num_fds() - first, threads=threading.active_count(),
    )  # fmt: skip


def write_seeds(folder: Path, make_clip: Callable[..., Path]) -> list[Path]:
    """Clips of several containers and codecs."""
    kinds = {
        'a.mp4': dict(b_frames=2),
        'b.mp4': dict(b_frames=3, options={'movflags': 'faststart'}),
        'c.mkv': dict(b_frames=3),
        'd.ts': dict(b_frames=2),
        'e.avi': dict(codec='mpeg4', b_frames=2),
        'f.mpg': dict(codec='mpeg2video', b_frames=2),
        'g.webm': dict(codec='libvpx-vp9', options={'deadline': 'realtime'}),
        'h.mp4': dict(codec='libx265', options={'x265-params': 'log-level=none'}),
    }
    return [make_clip(folder / name, **args) for name, args in kinds.items()]


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    backend = sys.argv[2] if len(sys.argv) > 2 else 'pyav'
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from conftest import write_clip

    with tempfile.TemporaryDirectory() as folder:
        seeds = write_seeds(Path(folder), write_clip)
        print(json.dumps(fuzz(seeds, number, backend), indent=2))


if __name__ == '__main__':
    main()
