"""Every codec in every container that PyAV can write, whole and damaged, read frame by frame.

A frame must be that of decoding the file in order; of a damaged file it may be missing, with an
error in words.
"""

from collections import Counter
from contextlib import suppress

import av
import numpy as np
import pytest
from support.odd_streams import edit, noisy, second_key, shifted, with_data

from mmmae_st.datasets.readers import VideoReadError, open_video, read_errors
from mmmae_st.datasets.readers.container import open_container, video_stream

pytestmark = [pytest.mark.slow, pytest.mark.long]

SUFFIXES = [
    'mp4',
    'mov',
    'mkv',
    'webm',
    'avi',
    'ts',
    'm2ts',
    'mpg',
    'vob',
    'flv',
    'wmv',
    'ogv',
    'nut',
    'mxf',
    '3gp',
    'gif',
    'apng',
    'swf',
    'rm',
    'roq',
    'amv',
    'dv',
    'ivf',
    'h264',
    'hevc',
    'm2v',
    'm4v',
    'h261',
    'h263',
    'mjpeg',
    'obu',
]
OF_DEVICES = ('_amf', '_nvenc', '_qsv', '_v4l2m2m', '_mf', '_vaapi')
SIZES = [(64, 48), (176, 144), (720, 576)]  # what some codecs insist on
OPTIONS = {
    'libx265': {'x265-params': 'log-level=none'},
    'libsvtav1': {'preset': '12'},
    'libvpx-vp9': {'deadline': 'realtime'},
}

BASES = dict(
    h264=dict(b_frames=3),
    open_gop=dict(
        b_frames=3, gop=8, options={'x264-params': 'open-gop=1:scenecut=0:b-pyramid=normal'}
    ),
    interlaced=dict(b_frames=2, options={'x264-params': 'interlaced=1'}),
    refresh=dict(options={'x264-params': 'intra-refresh=1:keyint=10'}),
    hevc=dict(codec='libx265', b_frames=3, gop=8, options=OPTIONS['libx265']),
    mpeg4=dict(codec='mpeg4', b_frames=2),
    mpeg2=dict(codec='mpeg2video', b_frames=2),
    vp9=dict(codec='libvpx-vp9', options=OPTIONS['libvpx-vp9']),
)
BASE_SUFFIXES = ['mp4', 'mov', 'mkv', 'webm', 'avi', 'ts', 'mpg', 'flv', 'wmv', 'nut']
# Whole files whose times or marks are odd, and damaged ones.
ODD = dict(
    whole=lambda ps: ps,
    before_zero=lambda ps: shifted(ps, -10),
    just_before_zero=lambda ps: shifted(ps, -2),
    far=lambda ps: shifted(ps, 10**5),
    gap=lambda ps: shifted(ps, 500, begin=second_key(ps)),
    from_a_keyframe=lambda ps: ps[second_key(ps) :],
    five_frames=lambda ps: ps[second_key(ps) :][:5],
    all_keyframes=lambda ps: [packet._replace(is_key=True) for packet in ps],
    one_keyframe=lambda ps: [packet._replace(is_key=i == 0) for i, packet in enumerate(ps)],
    no_keyframe=lambda ps: [packet._replace(is_key=False) for packet in ps],
)
DAMAGED = dict(
    inside=lambda ps: ps[5:],
    two_lost=lambda ps: ps[:20] + ps[22:],
    keyframe_lost=lambda ps: ps[: second_key(ps)] + ps[second_key(ps) + 1 :],
    noise=lambda ps: with_data(ps, 17, noisy),
    noise_in_keyframe=lambda ps: with_data(ps, second_key(ps), noisy),
    zeros=lambda ps: with_data(ps, 17, lambda data: bytes(len(data))),
    half=lambda ps: with_data(ps, 17, lambda data: data[: len(data) // 2]),
)
# Cut where the picture is still being refreshed: the decoder leaves out the first frames.
NOT_RECOVERED = [('refresh', name) for name in ('before_zero', 'from_a_keyframe', 'five_frames')]


def decode_all(path):
    """Frames in order, going on after errors, and whether there were any."""
    frames, is_sound = [], True
    with open_container(str(path)) as container:
        stream = video_stream(container)
        for packet in container.demux(stream):
            try:
                decoded = stream.codec_context.decode(packet if packet.size else None)
            except av.FFmpegError:
                decoded, is_sound = [], False
            is_sound = is_sound and not any(frame.is_corrupt for frame in decoded)
            frames += [frame.to_ndarray(format='rgb24') for frame in decoded]
    return frames, is_sound


def check(path, original=None):
    """``'exact'``, or for damaged files ``'named'`` or ``'guessed'``.

    Named are files of which frames could not be read. Guessed are frames that decoding in order
    does not give nor the whole ``original`` holds: they refer to what is lost, and the decoder says
    nothing.
    """
    full, is_sound = [], False
    with suppress(av.FFmpegError, VideoReadError):
        full, is_sound = decode_all(path)
    is_sound = is_sound and original is None and bool(full)
    possible = {frame.tobytes() for frame in full + (original or [])}
    outcome = 'exact'
    try:
        with open_video(str(path)) as reader:
            num_frames = reader.num_frames
    except VideoReadError:
        assert not is_sound
        return 'named'
    assert num_frames == len(full) or not is_sound
    picks = [*np.random.default_rng(0).integers(0, num_frames, 5).tolist(), 0, num_frames - 1]
    for indices in [*([index] for index in picks), picks]:
        try:
            with open_video(str(path)) as reader, read_errors():
                frames = reader.read(indices)
        except VideoReadError:
            assert not is_sound, indices
            outcome = 'named'
            continue
        for index, frame in frames.items():
            if is_sound:
                np.testing.assert_array_equal(frame, full[index], f'{index} of {indices}')
            elif frame.tobytes() not in possible:
                outcome = 'guessed'
    return outcome


def check_all(files):
    """Check (name, path, original) triples; all faults are told at once."""
    outcomes, faults = Counter(), {}
    for name, path, original in files:
        try:
            outcomes[check(path, original)] += 1
        except AssertionError as error:
            faults[name] = str(error).strip()[:200]
        path.unlink()
    print(dict(outcomes), faults)
    assert not faults, faults
    return outcomes


def test_every_codec_in_every_container(make_clip, tmp_path):
    def files():
        for codec in sorted(av.codecs_available):
            with suppress(ValueError):  # decoders
                encoder = av.Codec(codec, 'w')
                if encoder.type == 'video' and not codec.endswith(OF_DEVICES):
                    for suffix in SUFFIXES:
                        path = tmp_path / f'{codec}.{suffix}'
                        if write(make_clip, path, encoder):
                            yield path.name, path, None

    assert check_all(files())['exact'] > 250


def write(make_clip, path, encoder):
    """Whether FFmpeg writes the codec to the container, and reads it again."""
    formats = [pixels.name for pixels in encoder.video_formats or ()]
    pix_fmt = 'yuv420p' if 'yuv420p' in formats else (formats or ['yuv420p'])[0]
    options = {'strict': '-2', **OPTIONS.get(encoder.name, {})}
    for width, height in SIZES:
        with suppress(av.FFmpegError, ValueError, OverflowError, VideoReadError):
            make_clip(
                path, num_frames=24, gop=8, codec=encoder.name, pix_fmt=pix_fmt, options=options,
                width=width, height=height,
            )  # fmt: skip
            if decode_all(path)[0]:
                return True
    path.unlink(missing_ok=True)
    return False


@pytest.mark.parametrize('kind', BASES)
def test_odd_and_damaged_files(make_clip, tmp_path, kind):
    clip = make_clip(tmp_path / 'clip.mp4', **BASES[kind])
    whole, _ = decode_all(clip)

    def files():
        for suffix in BASE_SUFFIXES:
            for name, change in (ODD | DAMAGED).items():
                path = tmp_path / f'odd.{suffix}'
                with suppress(av.FFmpegError, ValueError):
                    edit(clip, path, change)
                    is_damaged = name in DAMAGED or (kind, name) in NOT_RECOVERED
                    yield f'{suffix} {name}', path, whole if is_damaged else None

    outcomes = check_all(files())
    assert outcomes['exact'] > 60 and outcomes['guessed'] < 20
