"""Features on a tiny checkpoint: every kind of input, one result each, broken ones named."""

import numpy as np
import pytest
import torch
from PIL import Image
from support.tiny_checkpoint import tiny_config, write_tiny_checkpoint

from mmmae_st import FeatureInferencer, get_model, load_encoder
from mmmae_st.apis import feature_inferencer
from mmmae_st.apis.features import normalised_clips, patch_tokens
from mmmae_st.visualization.video_files import read_clips


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp('model') / 'epoch_1.pth'
    write_tiny_checkpoint(path)
    return path


def test_features_are_those_of_the_encoder(checkpoint, clips):
    """Pooled: the norm of the mean of the patches, averaged over the views."""
    found = FeatureInferencer(checkpoint, views=3, frame_interval=2)(clips['plain'])
    encoder, preprocessor = load_encoder(checkpoint)
    encoder.out_type = 'pooled'
    read = read_clips(clips['plain'], 8, 32, 2, num_clips=3)
    with torch.no_grad():
        expected = encoder(normalised_clips(list(read), preprocessor)).mean(0)
    assert len(found) == 1 and found[0]['error'] is None and found[0]['name'] == 'plain'
    np.testing.assert_allclose(found[0]['features'], expected, atol=1e-5)


def test_kinds_of_output(checkpoint):
    clip = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    encoder, preprocessor = load_encoder(checkpoint)
    tokens = patch_tokens(encoder, normalised_clips([clip], preprocessor))[0]
    for output, expected in (('tokens', tokens), ('spatial', tokens.mean(0))):
        found = FeatureInferencer(checkpoint, output=output)(clip)[0]['features']
        np.testing.assert_allclose(found, expected, atol=1e-5)
    first = FeatureInferencer(checkpoint, output='tokens', layer=0)(clip)[0]['features']
    assert first.shape == tokens.shape and not np.allclose(first, tokens, atol=0.1)


def test_batches_workers_and_sources_make_no_difference(checkpoint, clips, tmp_path):
    videos = [clips['plain'], clips['fps15'], clips['mkv']]
    model = get_model(checkpoint)
    every = FeatureInferencer(model, frame_interval=2)(videos, batch_size=2)
    again = FeatureInferencer(load_encoder(checkpoint), frame_interval=2)(
        videos, batch_size=3, num_workers=1, out_dir=tmp_path
    )
    for left, right in zip(every, again, strict=True):
        np.testing.assert_allclose(left['features'], right['features'], atol=1e-5)
        assert np.array_equal(np.load(tmp_path / f'{right["name"]}.npy'), right['features'])


def test_arrays_and_tensors_of_any_length(checkpoint):
    long = np.random.default_rng(0).integers(0, 256, (24, 40, 48, 3), np.uint8)
    infer = FeatureInferencer(checkpoint, show_progress=False)
    found = infer([long, torch.from_numpy(long), long[1::3], long[:1]])
    features = [video['features'] for video in found]
    assert np.array_equal(features[0], features[1])
    assert np.array_equal(features[0], features[2])  # the middle of each third of 24 frames
    assert np.isfinite(features[3]).all()


def test_unreadable_videos_end_nothing(checkpoint, clips, tmp_path):
    (tmp_path / 'empty.mp4').write_bytes(b'')
    videos = [tmp_path / 'empty.mp4', clips['plain'], tmp_path / 'none.mp4']
    found = FeatureInferencer(checkpoint)(videos, out_dir=tmp_path / 'out')
    assert [video['error'] is None for video in found] == [False, True, False]
    assert np.isnan(found[0]['features']).all() and np.isfinite(found[1]['features']).all()
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['plain.npy']
    assert 'No such file' in found[2]['error']


@pytest.mark.parametrize(('output', 'columns'), [('tokens', 4), ('spatial', 8)])
def test_maps_are_shown_as_colours_of_the_middle_clip(
    checkpoint, clips, tmp_path, monkeypatch, output, columns
):
    shown = []
    monkeypatch.setattr(feature_inferencer, 'show_picture', shown.append)
    (tmp_path / 'empty.mp4').write_bytes(b'')
    infer = FeatureInferencer(checkpoint, output=output, views=3, frame_interval=2)
    infer([clips['plain'], tmp_path / 'empty.mp4'], out_dir=tmp_path / 'out', show=True)
    (picture,) = shown  # nothing of a video that cannot be read
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == ['plain.npy', 'plain.png']
    assert np.array_equal(np.asarray(Image.open(tmp_path / 'out' / 'plain.png')), picture)
    frame = read_clips(clips['plain'], 8, 32, 2, num_clips=3)[1][0].repeat(4, 0).repeat(4, 1)
    left = picture.shape[1] - 8 - columns * 128 - (columns - 1) * 3
    assert np.array_equal(picture[8:136, left : left + 128], frame)
    assert len(np.unique(picture[139:267, left : left + 128].reshape(-1, 3), axis=0)) > 8


def test_one_vector_is_no_picture(checkpoint):
    with pytest.raises(ValueError, match="show needs output='spatial' or 'tokens', got output='po"):
        FeatureInferencer(checkpoint)('none.mp4', show=True)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(output='logits'), "output must be one of .*, got 'logits'"),
        (dict(layer=2), r'layer must be in \[-2, 1\], got 2'),
        (dict(views=0), 'views must be at least 1, got 0'),
    ],
)
def test_bad_arguments_are_named(checkpoint, options, message):
    with pytest.raises(ValueError, match=message):
        FeatureInferencer(checkpoint, **options)


def test_oblong_models_are_named(tmp_path):
    cfg = tiny_config()
    cfg.model.backbone.img_size = cfg.model.decoder.img_size = (32, 48)
    write_tiny_checkpoint(tmp_path / 'a.pth', cfg)
    with pytest.raises(ValueError, match='takes clips of 32 x 48; only squares'):
        FeatureInferencer(tmp_path / 'a.pth')
