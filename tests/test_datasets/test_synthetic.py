import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from mmmae_st.datasets.synthetic import clips as synthetic_clips
from mmmae_st.datasets.synthetic.clips import ClipSettings, make_clip, make_clips, random_scene
from mmmae_st.datasets.synthetic.scenes import (
    SHAPES,
    TEXTURES,
    Sprite,
    Track,
    load_texture,
    render,
    shape_alpha,
)
from mmmae_st.fileio.video_writer import write_video

SMALL = ClipSettings(seed=3, num_frames=6, height=32, width=48)
CLI = Path(__file__).parents[2] / 'tools' / 'dataset_converters' / 'make_synthetic_clips.py'


def decode(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)])


def still(num_frames=1, **values):
    times = np.zeros(num_frames)
    return Track.polynomial(times, **{key: (value,) for key, value in values.items()})


@pytest.mark.parametrize('name', TEXTURES)
def test_every_texture_is_in_the_wheel_and_has_texture(name):
    texture = load_texture(name, 64)
    assert texture.dtype == np.uint8 and texture.ndim == 3 and min(texture.shape[:2]) == 64
    assert texture.std() > 15
    assert not texture.flags.writeable


def test_unknown_texture_and_shape_are_named():
    with pytest.raises(ValueError, match='name must be one of .*lena'):
        load_texture('lena.png')
    with pytest.raises(ValueError, match="kind must be one of .*'star'"):
        shape_alpha('star', 32, np.random.default_rng(0))


@pytest.mark.parametrize('kind', SHAPES)
def test_shapes_are_filled_in_the_middle_and_soft_at_the_edge(kind):
    for seed in range(5):
        alpha = shape_alpha(kind, 64, np.random.default_rng(seed))
        assert alpha.shape == (64, 64) and alpha.dtype == np.float32
        assert alpha.min() >= 0.0 and alpha.max() <= 1.0
        assert 0.1 < alpha.mean() < 0.8
        assert alpha[[0, -1]].max() < 0.1 and alpha[:, [0, -1]].max() < 0.1
        assert ((alpha > 0.1) & (alpha < 0.9)).any()


def test_track_is_a_polynomial_in_time():
    track = Track.polynomial(
        np.array([0.0, 1.0, 2.0]), x=(1, 2, 3), angle=(0.5,), log_scale=(0, np.log(2))
    )
    np.testing.assert_allclose(track.x, [1, 6, 17])
    np.testing.assert_allclose(track.y, 0)
    np.testing.assert_allclose(track.angle, 0.5)
    np.testing.assert_allclose(track.scale, [1, 2, 4])


def square(track, colour=(255, 0, 0)):
    image = np.full((20, 20, 3), colour, np.uint8)
    return Sprite(image, np.ones((20, 20), np.float32), track)


def where(frame, colour=(255, 0, 0)):
    """Rows and columns of a colour."""
    return np.nonzero((frame == colour).all(-1))


BLACK = np.zeros((60, 60, 3), np.uint8)


def test_a_sprite_is_where_its_track_says_and_as_large():
    track = still(x=0.25, y=-0.125, log_scale=np.log(0.5))
    [frame] = render(BLACK, still(), [square(track)], height=40, width=80)
    rows, columns = where(frame)
    # Centre of an 80 x 40 frame plus (0.25, -0.125) heights; half a height large.
    assert abs(columns.mean() - (39.5 + 10)) < 0.6 and abs(rows.mean() - (19.5 - 5)) < 0.6
    assert abs(len(rows) - 20 * 20) < 60


def test_the_camera_moves_and_enlarges_everything_the_other_way():
    track = still(log_scale=np.log(0.25))
    camera = still(x=0.25, log_scale=np.log(2.0))
    [frame] = render(BLACK, camera, [square(track)], height=40, width=80)
    rows, columns = where(frame)
    assert abs(columns.mean() - (39.5 - 20)) < 0.6 and abs(rows.mean() - 19.5) < 0.6
    assert abs(len(rows) - 20 * 20) < 60


def test_positive_angles_turn_clockwise_on_the_screen():
    image = np.zeros((21, 21, 3), np.uint8)
    image[10, 15:] = 255  # a hand that points right
    quarter = Track.polynomial(np.zeros(1), angle=(np.pi / 2,))
    sprite = Sprite(image, np.ones((21, 21), np.float32), quarter)
    [frame] = render(BLACK, still(), [sprite], height=40, width=40)
    rows, columns = np.nonzero(frame.max(-1) > 128)
    assert rows.mean() > 25 and abs(columns.mean() - 19.5) < 1


def test_later_sprites_hide_earlier_ones_and_tracks_must_cover_the_clip():
    track = still(log_scale=np.log(0.5))
    red, green = square(track), square(track, (0, 255, 0))
    [frame] = render(BLACK, still(), [red, green], height=40, width=40)
    assert len(where(frame)[0]) == 0 and len(where(frame, (0, 255, 0))[0]) > 300
    with pytest.raises(ValueError, match='cover the 2 frames, got one of 1'):
        list(render(BLACK, still(2), [red], height=40, width=40))


def test_a_sprite_outside_the_frame_changes_nothing():
    frames = render(BLACK, still(), [square(still(x=5.0))], height=40, width=40)
    assert next(frames).max() == 0


def test_written_video_is_h264_and_looks_like_the_frames(tmp_path):
    frames = [np.full((32, 48, 3), value, np.uint8) for value in (40, 120, 200)]
    write_video(tmp_path / 'a.mp4', frames, fps=25)
    with av.open(str(tmp_path / 'a.mp4')) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == 'h264' and stream.average_rate == 25
    assert np.abs(decode(tmp_path / 'a.mp4').astype(int) - np.stack(frames)).max() <= 4
    assert [path.name for path in tmp_path.iterdir()] == ['a.mp4']


def failing(frames):
    yield from frames
    raise KeyboardInterrupt


def test_interrupted_writing_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / 'a.mp4'
    path.write_bytes(b'old')
    with pytest.raises(KeyboardInterrupt):
        write_video(path, failing([np.zeros((32, 48, 3), np.uint8)] * 3))
    assert path.read_bytes() == b'old'
    assert [p.name for p in tmp_path.iterdir()] == ['a.mp4']


@pytest.mark.parametrize(
    ('frames', 'message'),
    [([], 'at least one frame'), ([np.zeros((33, 48, 3), np.uint8)], 'even sizes, got 33 x 48')],
)
def test_unwritable_frames_are_refused(tmp_path, frames, message):
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / 'a.mp4', frames)
    assert list(tmp_path.iterdir()) == []


def test_same_seed_same_bytes_other_seed_other_clip(tmp_path):
    for name, index, settings in [
        ('a', 0, SMALL),
        ('b', 0, SMALL),
        ('c', 1, SMALL),
        ('d', 0, ClipSettings(seed=4, num_frames=6, height=32, width=48)),
    ]:
        make_clip(tmp_path / name, index, settings)
    files = [(tmp_path / name).read_bytes() for name in 'abcd']
    assert files[0] == files[1]
    assert len(set(files)) == 3


def test_scenes_move_and_use_only_the_textures_they_are_given():
    settings = ClipSettings(textures=('grass.png', 'coffee.png'), height=48, width=64)
    for seed in range(4):
        background, camera, sprites = random_scene(np.random.default_rng(seed), settings)
        assert 3 <= len(sprites) <= 6
        frames = list(islice(render(background, camera, sprites, 48, 64), 0, 33, 32))
        assert np.abs(frames[1].astype(int) - frames[0]).mean() > 10


def test_a_set_is_completed_not_made_again(tmp_path):
    paths, made = make_clips(tmp_path / 'set', 3, SMALL, workers=2)
    assert made == 3 and [path.name for path in paths] == [f'clip_0000{i}.mp4' for i in range(3)]
    assert all(decode(path).shape == (6, 32, 48, 3) for path in paths)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}
    paths[1].unlink()
    (tmp_path / 'set' / '.clip_00001.incomplete.mp4').write_bytes(b'half')
    assert make_clips(tmp_path / 'set', 3, SMALL, workers=1)[1] == 1
    assert paths[1].read_bytes() == before[paths[1]][1]
    assert paths[0].stat().st_mtime_ns == before[paths[0]][0]
    assert make_clips(tmp_path / 'set', 3, SMALL)[1] == 0
    assert not list((tmp_path / 'set').glob('.clip*'))


def test_a_smaller_set_or_other_settings_leave_no_old_clips(tmp_path):
    make_clips(tmp_path, 3, SMALL, workers=1)
    make_clips(tmp_path, 2, SMALL, workers=1)
    assert len(list(tmp_path.glob('*.mp4'))) == 2
    old = (tmp_path / 'clip_00000.mp4').read_bytes()
    other = ClipSettings(seed=9, num_frames=6, height=32, width=48)
    assert make_clips(tmp_path, 2, other, workers=1)[1] == 2
    assert (tmp_path / 'clip_00000.mp4').read_bytes() != old


def die(path, index, settings):
    import os
    import signal

    if index == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    make_clip(path, index, settings)


def test_a_killed_worker_is_an_error_and_leaves_only_whole_clips(tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic_clips, 'make_clip', die)
    with pytest.raises(BrokenProcessPool):
        make_clips(tmp_path, 4, SMALL, workers=1)
    monkeypatch.undo()
    for path in tmp_path.glob('*.mp4'):
        assert len(decode(path)) == 6
    assert make_clips(tmp_path, 4, SMALL, workers=1)[1] == 3


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(seed=-1), 'seed'),
        (dict(num_frames=0), 'num_frames'),
        (dict(fps=0), 'fps'),
        (dict(height=33), 'height must be even'),
        (dict(width=8), 'width'),
        (dict(textures=('grass.png',)), 'textures must be at least two'),
        (dict(textures=('grass.png', 'lena.png')), 'lena'),
    ],
)
def test_bad_settings_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        ClipSettings(**change)


@pytest.mark.parametrize('args', [dict(num_clips=0), dict(num_clips=1, workers=0)])
def test_bad_numbers_are_named(tmp_path, args):
    with pytest.raises(ValueError, match=list(args)[-1]):
        make_clips(tmp_path, settings=SMALL, **args)


def test_command_line(tmp_path):
    command = [sys.executable, str(CLI), str(tmp_path / 'out'), '--num-clips', '2']
    command += ['--num-frames', '4', '--height', '32', '--width', '48', '--seed', '5']
    for made in (2, 0):
        result = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
        )
        assert f'{made} made now' in result.stdout
    assert decode(tmp_path / 'out' / 'clip_00001.mp4').shape == (4, 32, 48, 3)
