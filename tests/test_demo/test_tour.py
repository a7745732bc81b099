"""The tour runs as a newcomer runs it, with less training."""

import importlib.util
import re
from pathlib import Path

import pytest
from PIL import Image
from support.tiny_checkpoint import write_tiny_checkpoint

ROOT = Path(__file__).parents[2]
PICTURES = ('masks.png', 'reconstruction.png', 'features.png', 'neighbours.png')


@pytest.fixture(scope='module')
def tour():
    spec = importlib.util.spec_from_file_location('tour', ROOT / 'demo' / 'tour.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(out, text):
    for number, stop in enumerate(('Load', 'Mask', 'Reconstruct', 'Features', 'Nearest'), 1):
        assert f'\n{number}. {stop}' in '\n' + text
    for name in PICTURES:
        assert min(Image.open(out / name).size) > 200


def test_tour_without_arguments_but_shorter(tour, tmp_path, capsys):
    tour.main(['--out', str(tmp_path), '--seconds', '2'])
    text = capsys.readouterr().out
    check(tmp_path, text)
    first, last = (float(x) for x in re.findall(r'loss ([\d.]+)', text))
    assert last <= first  # equal if a slow machine makes one step
    assert '12 clips of 8 frames, 64 x 64 pixels' in text


def test_tour_with_a_checkpoint_and_videos(tour, tmp_path, capsys, clips):
    write_tiny_checkpoint(tmp_path / 'a.pth')
    videos = [str(clips[kind]) for kind in ('plain', 'fps15', 'mkv')]
    tour.main(
        ['--checkpoint', str(tmp_path / 'a.pth'), '--videos', *videos, '--out', str(tmp_path)]
    )
    text = capsys.readouterr().out
    check(tmp_path, text)
    assert '6 clips of 8 frames, 32 x 32 pixels' in text and 'training for' not in text


def test_wrong_input_is_named(tour, tmp_path):
    with pytest.raises(SystemExit, match='at least two'):
        tour.main(['--videos', 'a.mp4', '--out', str(tmp_path)])
    with pytest.raises(SystemExit, match=r'none\.pth does not exist'):
        tour.main(['--checkpoint', 'none.pth', '--videos', 'a', 'b', '--out', str(tmp_path)])


def test_oblong_clips_are_named(tour, tmp_path, monkeypatch):
    model = tour.tiny_model()
    model.backbone.grid = (4, 8, 12)
    monkeypatch.setattr(tour, 'load_autoencoder', lambda path: model)
    with pytest.raises(SystemExit, match='takes clips of 64 x 96; only squares are cut'):
        tour.main(['--checkpoint', 'a.pth', '--videos', 'a', 'b', '--out', str(tmp_path)])
