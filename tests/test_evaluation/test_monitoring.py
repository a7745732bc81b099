from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement
from support.tiny_checkpoint import tiny_config

from mmmae_st.datasets.video_dataset import UnreadableVideoError
from mmmae_st.evaluation.held_out import VideoClips, held_out_config, pick, read_clips, spread
from mmmae_st.evaluation.labelled import accuracies, labelled_features
from mmmae_st.evaluation.monitoring import (
    VideoOutputs,
    measures_of,
    outputs_of,
    pooled_features,
    versions,
)
from mmmae_st.evaluation.trivial_losses import nearest_visible, trivial_losses
from mmmae_st.models import MAEHead
from mmmae_st.registry import MODELS

GRID = (4, 4, 4)


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return MODELS.build(tiny_config().model).eval()


def clips_of(index, label=None, num_clips=2):
    rng = torch.Generator().manual_seed(index)
    frames = torch.randint(0, 256, (num_clips, 3, 8, 32, 32), dtype=torch.uint8, generator=rng)
    ids = torch.stack([torch.randperm(64, generator=rng)[:16].sort().values] * num_clips)
    sample = BaseDataElement(metainfo=dict(path=f'{index}.mp4'))
    return VideoClips(index, label, dict(inputs=[frames], ids_keep=[ids], data_samples=[sample]))


def test_the_nearest_visible_patch():
    ids_keep = torch.tensor([[0, 21, 63]])  # places (0, 0, 0), (1, 1, 1), (3, 3, 3)
    ids_predict = torch.tensor([[1, 22, 62, 16]])
    assert nearest_visible(ids_keep, ids_predict, GRID).tolist() == [[0, 1, 2, 0]]


@pytest.mark.parametrize('target', ['pixels', 'normalized_pixels', 'hog'])
def test_trivial_losses_are_those_of_the_head(target):
    head = MAEHead(embed_dims=16, patch_size=8, target=target)
    video = torch.randn(2, 3, 8, 32, 32)
    ids = torch.stack([torch.randperm(64) for _ in range(2)])
    ids_keep, ids_predict = ids[:, :16].sort(dim=1).values, ids[:, 16:].sort(dim=1).values
    losses = trivial_losses(head, video, ids_keep, ids_predict, GRID)
    visible = head.make_target(video, ids_keep)
    mean = visible.mean(dim=1, keepdim=True).expand(-1, 48, -1)
    assert losses['mean'] == pytest.approx(float(head.loss(mean, video, ids_predict).mean()))
    places = nearest_visible(ids_keep, ids_predict, GRID)
    nearest = torch.stack([visible[i, places[i]] for i in range(2)])
    assert losses['nearest'] == pytest.approx(float(head.loss(nearest, video, ids_predict).mean()))


def test_copying_is_perfect_where_nothing_moves_and_the_mean_where_all_is_alike():
    head = MAEHead(embed_dims=16, patch_size=8, target='pixels')
    still = torch.randn(1, 3, 1, 32, 32).expand(-1, -1, 8, -1, -1)
    ids_keep, ids_predict = torch.arange(16)[None], torch.arange(16, 64)[None]
    losses = trivial_losses(head, still, ids_keep, ids_predict, GRID)
    assert losses['previous'] == 0 and losses['nearest'] == 0 < losses['mean']
    plain = torch.full((1, 3, 8, 32, 32), 0.3)
    assert trivial_losses(head, plain, ids_keep, ids_predict, GRID)['mean'] == pytest.approx(0)
    moving = torch.randn(1, 3, 8, 32, 32)
    assert trivial_losses(head, moving, ids_keep, ids_predict, GRID)['previous'] > 1


def test_versions_of_a_clip():
    video = torch.arange(8.0).view(1, 1, 8, 1, 1)
    found = {
        name: (clip.flatten().tolist(), frames)
        for name, (clip, frames) in versions(video, 2).items()
    }
    assert found == dict(
        plain=([0, 1, 2, 3, 4, 5, 6, 7], 8),
        swapped=([4, 5, 6, 7, 0, 1, 2, 3], 8),
        backward=([7, 6, 5, 4, 3, 2, 1, 0], 8),
        slow=([2, 3, 4, 5, 0, 0, 0, 0], 4),
        fast=([0, 2, 4, 6, 0, 0, 0, 0], 4),
    )
    assert set(versions(video[:, :, :6], 2)) == {'plain', 'swapped', 'backward'}


def test_what_is_beyond_the_frames_is_not_encoded(model):
    video = torch.randn(2, 3, 8, 32, 32)
    other = video.clone()
    other[:, :, 4:] = 0
    assert torch.equal(pooled_features(model, video, 4), pooled_features(model, other, 4))
    assert not torch.equal(pooled_features(model, video, 8), pooled_features(model, other, 8))
    tokens = model.backbone(video)[:, 1:].mean(dim=1)
    torch.testing.assert_close(pooled_features(model, video, 8), tokens)


def test_the_loss_is_the_model_s(model):
    clips = clips_of(0, num_clips=3)
    output = outputs_of(model, clips, 2)
    batch = model.data_preprocessor(clips.batch)
    expected = model.loss(batch['inputs'][:2], batch['ids_keep'][:2])['loss']
    assert output.losses['loss'] == pytest.approx(float(expected))
    assert output.features['plain'].shape == (2, 32)


def test_measures_do_not_depend_on_the_order_or_on_any_generator(model):
    outputs = [outputs_of(model, clips_of(i), 2) for i in range(8)]
    state = torch.get_rng_state()
    measures = measures_of(outputs)
    assert torch.equal(state, torch.get_rng_state())
    torch.rand(3)
    assert measures_of(outputs[::-1]) == measures
    assert list(measures) == [
        'loss', 'loss_mean', 'loss_nearest', 'loss_previous', 'rank', 'rank_centred', 'lidar',
        'wasted', 'similarity', 'retrieval', 'order', 'arrow', 'speed',
    ]  # fmt: skip
    assert measures['retrieval'] < 0.5  # clips of noise have nothing in common
    with pytest.raises(ValueError, match='needs 8 readable videos, got 7'):
        measures_of(outputs[:7])


def test_features_that_are_not_finite_leave_the_losses():
    features = dict(plain=torch.full((2, 4), torch.nan))
    outputs = [VideoOutputs(i, features, dict(loss=1.0)) for i in range(8)]
    assert measures_of(outputs) == dict(loss=1.0)


class Videos:
    """Two clips a sample; some cannot be read, some are replaced."""

    def __init__(self, broken=(), replaced=()):
        self.broken, self.replaced = broken, replaced

    def __getitem__(self, key):
        epoch, index = key
        if index in self.broken:
            raise UnreadableVideoError('no')
        sample = SimpleNamespace(failures=[('a', 'b')] * (index in self.replaced))
        sample.get = lambda key: index if key == 'label' else None
        return dict(inputs=torch.full((2, 1), 10 * epoch + index), data_samples=sample)


def test_clips_come_from_as_many_epochs_as_it_takes():
    found = read_clips(Videos(broken=[1], replaced=[3]), [0, 1, 2, 3, 4], num_clips=3)
    assert [(video.index, video.label) for video in found] == [(0, 0), (2, 2), (4, 4)]
    assert torch.cat(found[1].batch['inputs']).flatten().tolist() == [2, 2, 12, 12]


def test_videos_at_equal_distances():
    assert spread(10, 5) == [1, 3, 5, 7, 9]
    assert spread(3, 3) == [0, 1, 2]


def test_picked_videos_do_not_follow_the_order_of_classes():
    picked = pick(256, 64)
    assert picked == sorted(set(picked)) and len(picked) == 64 and picked == pick(256, 64)
    assert len({index % 16 for index in picked}) > 12
    assert pick(5, 64) == [0, 1, 2, 3, 4]


def test_labels_give_knn_and_linear_probe(model):
    def bright(label, index):
        clips = clips_of(index, label)
        clips.batch['inputs'] = [clips.batch['inputs'][0] // 4 + 150 * label]
        return labelled_features(model, clips, 2)

    train = [bright(i % 2, i) for i in range(16)]
    test = [bright(i % 2, 100 + i) for i in range(8)]
    state = torch.get_rng_state()
    assert accuracies(train, test) == dict(knn=1.0, linear=1.0)
    assert torch.equal(state, torch.get_rng_state())
    with pytest.raises(ValueError, match=r'0\.mp4 has no label'):
        labelled_features(model, clips_of(0), 2)


TRAINING = dict(type='VideoDataset', data_root='a', indices=[1], pipeline=['crop', 'mask'])


def source(arguments=None, **cfg):
    return held_out_config(Config(dict(train_dataloader=dict(dataset=TRAINING), **cfg)), arguments)


def test_videos_are_those_of_validation_through_the_pipeline_of_training():
    held_out = dict(type='VideoDataset', data_root='b', pipeline=['centre'], test_mode=True)
    said, found = source(val_dataloader=dict(dataset=held_out))
    assert said == 'of val_dataloader'
    assert found == dict(held_out, pipeline=['crop', 'mask'], test_mode=False)


def test_without_any_they_are_those_of_training_and_it_is_said():
    said, found = source(val_dataloader=None)
    assert 'not held out' in said and found == TRAINING


def test_a_set_of_its_own_has_other_records():
    said, found = source(dict(ann_file='val.txt'))
    assert said == 'of a set of their own'
    assert found == dict(
        type='VideoDataset', data_root='a', pipeline=['crop', 'mask'], ann_file='val.txt'
    )
