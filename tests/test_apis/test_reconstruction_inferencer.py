"""Reconstructions on a tiny checkpoint: files, screen, batches, videos that cannot be read."""

import json

import numpy as np
import pytest
from PIL import Image
from support.tiny_checkpoint import write_tiny_checkpoint

from mmmae_st import ReconstructionInferencer
from mmmae_st.apis import reconstruction_inferencer


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp('model') / 'epoch_1.pth'
    write_tiny_checkpoint(path)
    return path


def test_reconstructions_in_files_and_on_the_screen(checkpoint, clips, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(reconstruction_inferencer, 'show_picture', shown.append)
    infer = ReconstructionInferencer(checkpoint, masks=('random', 'tube'), ratios=(0.5, 0.75))
    clip = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    found = infer([clips['plain'], clip], out_dir=tmp_path, formats=('png', 'gif'), show=True)
    assert [len(video['results']) for video in found] == [4, 4]
    assert len(shown) == 2 and shown[0].ndim == 3
    for name in ('plain', 'clip0'):
        assert Image.open(tmp_path / f'{name}.gif').n_frames > 1
        report = json.loads((tmp_path / f'{name}.json').read_text())
        assert [entry['mask'] for entry in report][:2] == ['random 50 %', 'random 75 %']
    with pytest.raises(ValueError, match="formats must be of .*, got 'jpg'"):
        infer(clip, formats=['jpg'])
    for options in (dict(masks=['foo']), dict(ratios=[2])):
        with pytest.raises(ValueError, match='must be .*, got'):
            ReconstructionInferencer(checkpoint, **options)


def test_batches_and_workers_make_no_difference(checkpoint, clips, tmp_path):
    (tmp_path / 'empty.mp4').write_bytes(b'')
    videos = [clips['plain'], tmp_path / 'empty.mp4', clips['fps15'], clips['mkv']]
    infer = ReconstructionInferencer(checkpoint, masks=('random', 'tube'), ratios=(0.75,), seed=5)
    alone = [infer(video)[0] for video in videos]
    assert [len(video['results']) for video in alone] == [2, 0, 2, 2]
    for options in (dict(batch_size=1), dict(batch_size=3, num_workers=1), dict(batch_size=4)):
        found = infer(videos, **options)
        assert [(v['name'], v['error']) for v in found] == [(v['name'], v['error']) for v in alone]
        for video, expected in zip(found, alone, strict=True):
            for result, other in zip(video['results'], expected['results'], strict=True):
                assert result.label == other.label
                np.testing.assert_array_equal(np.isnan(result.error), np.isnan(other.error))
                np.testing.assert_allclose(result.prediction, other.prediction, atol=1e-5)
                assert result.loss == pytest.approx(other.loss, rel=1e-4)


def test_unreadable_videos_end_nothing(checkpoint, clips, tmp_path):
    (tmp_path / 'empty.mp4').write_bytes(b'')
    videos = [tmp_path / 'empty.mp4', clips['plain'], tmp_path / 'none.mp4']
    made = ReconstructionInferencer(checkpoint)(videos)
    assert [len(video['results']) for video in made] == [0, 1, 0]
    assert 'No such file' in made[2]['error']
