"""Tiny real clips, written once per test session with PyAV, and the marker of long tests."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from support.instances import no_instances

from mmmae_st import __main__ as command

pytest.register_assert_rewrite('support')
pytest_plugins = ['support.hardware', 'support.recognition', 'support.smoke_runs']


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line('markers', 'long: takes minutes; run only with -m long')
    # Started in the background by a shell, processes ignore Ctrl-C, and so do those of the tests.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A Python that a test starts would compile what it imports, which is most of its time.
    if os.environ.pop('PYTHONDONTWRITEBYTECODE', None):
        os.environ['PYTHONPYCACHEPREFIX'] = str(Path(sys.prefix, 'bytecode'))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if 'long' not in config.option.markexpr:
        for item in items:
            if item.get_closest_marker('long'):
                item.add_marker(pytest.mark.skip(reason='takes minutes; run with -m long'))
    # Files with slow tests first, or one of them would keep a single process busy at the end.
    slow = {item.path for item in items if item.get_closest_marker('slow')}
    items.sort(key=lambda item: item.path not in slow)


def write_clip(
    path: Path | str,
    num_frames: int = 40,
    width: int = 64,
    height: int = 48,
    fps: int = 30,
    codec: str = 'libx264',
    gop: int = 12,
    b_frames: int = 0,
    options: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    rotation: int = 0,
    pix_fmt: str = 'yuv420p',
) -> Path:
    """Write a clip whose frames all differ: a sliding texture and a bar that counts frames.

    ``times`` are presentation times in milliseconds, for a variable frame rate.
    """
    texture = np.random.default_rng(0).integers(0, 256, (height, width + num_frames, 3), np.uint8)
    texture = (texture.astype(np.float32) + np.roll(texture, 1, 1) + np.roll(texture, 1, 0)) / 3
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.options = {'threads': '1', **(options or {})}
        stream.codec_context.gop_size = gop
        stream.codec_context.max_b_frames = b_frames
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        for i in range(num_frames):
            image = texture[:, i : i + width].copy()
            image[:8, : 1 + i * (width - 1) // num_frames] = 255
            frame = av.VideoFrame.from_ndarray(image.astype(np.uint8), format='rgb24')
            frame.pts = i if times is None else times[i]
            frame.time_base = Fraction(1, fps if times is None else 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return Path(path)


@pytest.fixture(autouse=True)
def instances() -> Iterator[None]:
    """Begin with none of mmengine's, so that what is logged does not depend on earlier tests."""
    with no_instances():
        yield


@pytest.fixture(scope='session')
def make_clip() -> Callable[..., Path]:
    """The function :func:`write_clip`."""
    return write_clip


@pytest.fixture(scope='session')
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Kind of clip to its file; 64x48 and 40 frames at 30 frames/s unless the kind says other."""
    folder = tmp_path_factory.mktemp('clips')
    steps = np.random.default_rng(1).integers(10, 90, 40)
    kinds = dict(
        plain=dict(),
        b_frames=dict(b_frames=3, gop=15),
        closed_gop=dict(b_frames=3, gop=8, options={'x264-params': 'open-gop=0:scenecut=0'}),
        open_gop=dict(
            b_frames=3, gop=8, options={'x264-params': 'open-gop=1:scenecut=0:b-pyramid=normal'}
        ),
        intra_refresh=dict(options={'x264-params': 'intra-refresh=1:keyint=10'}),
        vfr=dict(b_frames=2, times=np.cumsum(steps).tolist()),
        short=dict(num_frames=5),
        one_frame=dict(num_frames=1),
        odd=dict(width=65, height=49, pix_fmt='yuv444p'),
        fps15=dict(fps=15),
        rotated=dict(rotation=90),
        mkv=dict(b_frames=3, suffix='.mkv'),
        ts=dict(b_frames=3, suffix='.ts'),
        vp9=dict(codec='libvpx-vp9', suffix='.webm', options={'deadline': 'realtime'}),
        mpeg4=dict(codec='mpeg4', suffix='.avi'),
        mpeg4_b=dict(codec='mpeg4', suffix='.avi', b_frames=2),
        avi_reordered=dict(suffix='.avi', b_frames=3),
        asf=dict(suffix='.asf'),
        mpeg2=dict(codec='mpeg2video', suffix='.mpg', b_frames=2),
        av1=dict(codec='libsvtav1', options={'preset': '12'}),
        hevc=dict(
            codec='libx265', suffix='.mp4', b_frames=3, options={'x265-params': 'log-level=none'}
        ),
    )
    files = {}
    for kind, args in kinds.items():
        files[kind] = write_clip(folder / (kind + args.pop('suffix', '.mp4')), **args)
    return files


@pytest.fixture
def record() -> Callable[..., dict]:
    """Make the dict that a pipeline starts from."""

    def make(path: Path | str, seed: int = 0, epoch: int = 0, index: int = 0) -> dict:
        return dict(path=str(path), sample_key=(seed, epoch, index), failures=[])

    return make


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Callable[..., tuple[int | str | None, str]]:
    """Call ``mmmae_st`` in this process; returns what ended it, and what it printed."""
    for name in ('argv', 'path'):
        monkeypatch.setattr(sys, name, list(getattr(sys, name)))
    monkeypatch.setitem(sys.modules, '__main__', sys.modules['__main__'])

    def call(*args: str) -> tuple[int | str | None, str]:
        sys.argv = ['mmmae_st', *args]
        code = None
        with no_instances():
            try:
                command.main()
            except SystemExit as stop:
                code = stop.code
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return call
