"""Actions by a tiny recogniser: its config out of the checkpoint, arrays, pictures."""

import numpy as np
import pytest
import torch
from PIL import Image
from support.recognition import mmaction_scope

pytest.importorskip('mmaction')

from mmmae_st import ActionInferencer
from mmmae_st.apis import action_inferencer


@pytest.fixture(scope='module')
def recogniser(tiny_config, tmp_path_factory):
    """A checkpoint as a training run writes it, its config inside, and the config."""
    from mmengine.registry import MODELS

    path = tmp_path_factory.mktemp('model') / 'epoch_2.pth'
    cfg = tiny_config()
    with mmaction_scope():
        torch.manual_seed(0)
        model = MODELS.build(cfg.model)
        torch.nn.init.normal_(model.cls_head.fc_cls.weight, std=0.3)
    meta = dict(cfg=cfg.pretty_text, epoch=2, iter=6)
    torch.save(dict(meta=meta, state_dict=model.state_dict()), path)
    return path, cfg


@pytest.fixture(scope='module')
def infer(recogniser):
    return ActionInferencer(recogniser[0], labels=('red', 'green', 'blue'), device='cpu', top=2)


def test_config_comes_out_of_the_checkpoint(recogniser, infer, labelled):
    videos = [labelled / 'videos_val' / f'{i}.mp4' for i in range(3)]
    found = infer(videos)
    with_config = ActionInferencer(*recogniser, device='cpu')(videos, batch_size=2)
    for video, other in zip(found, with_config, strict=True):
        assert video['error'] is None and video['picture'] is None
        np.testing.assert_allclose(video['scores'], other['scores'], atol=1e-5)
        assert video['scores'].sum() == pytest.approx(1, abs=1e-5)
        order = np.argsort(-video['scores'])
        assert [name for name, _ in video['best']] == [
            ('red', 'green', 'blue')[c] for c in order[:2]
        ]
        assert other['best'][0][0] == f'class {order[0]}'
    assert np.ptp([video['scores'] for video in found], axis=0).max() > 1e-3


def test_checkpoint_without_a_config_is_named(recogniser, tmp_path):
    state = torch.load(recogniser[0], weights_only=False)['state_dict']
    torch.save(dict(state_dict=state), tmp_path / 'bare.pth')
    with pytest.raises(ValueError, match=r'bare\.pth holds no config: config must name the one'):
        ActionInferencer(tmp_path / 'bare.pth')


def test_arrays_and_tensors_are_one_clip_each(infer):
    clip = np.random.default_rng(0).integers(0, 256, (8, 40, 48, 3), np.uint8)
    found = infer([clip, torch.from_numpy(clip), 255 - clip, clip.repeat(3, axis=0)], batch_size=3)
    assert [video['name'] for video in found] == ['clip0', 'clip0_2', 'clip0_3', 'clip0_4']
    scores = [video['scores'] for video in found]
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-6)
    np.testing.assert_allclose(scores[0], scores[3], atol=1e-6)  # the middle of each third
    assert np.abs(scores[0] - scores[2]).max() > 1e-3


def test_pictures_on_the_screen_and_in_files(infer, labelled, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(action_inferencer, 'show_picture', shown.append)
    (tmp_path / 'empty.mp4').write_bytes(b'')
    videos = [tmp_path / 'empty.mp4', labelled / 'videos_val' / '0.mp4']
    found = infer(videos, out_dir=tmp_path / 'out', show=True, return_vis=True)
    assert [video['error'] is None for video in found] == [False, True]
    assert np.isnan(found[0]['scores']).all() and found[0]['best'] == []
    (picture,) = shown
    assert picture.dtype == np.uint8 and np.array_equal(picture, found[1]['picture'])
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['0.png']
    assert np.array_equal(np.asarray(Image.open(tmp_path / 'out' / '0.png')), picture)


def test_labels_that_are_too_few_are_named(recogniser, labelled):
    infer = ActionInferencer(recogniser[0], labels=('red', 'green'), device='cpu')
    with pytest.raises(ValueError, match='has 2 names, the model 3 classes'):
        infer(labelled / 'videos_val' / '0.mp4')
