"""Action detection on a tiny set: the configs are built, trained for steps and evaluated."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.fileio import load
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner, save_checkpoint
from references.vjepa import VJEPAEncoder
from support.tiny_ava import (
    ACTIONS,
    CONFIGS,
    EXCLUDED,
    TINY,
    make_tiny_ava,
    read_config,
    tiny_config,
)  # fmt: skip

pytestmark = pytest.mark.slow

pytest.importorskip('mmcv.ops', exc_type=ImportError)
pytest.importorskip('mmdet')
pytest.importorskip('mmaction')

NAMES = sorted(path.name for path in CONFIGS.glob('mae_st_*.py'))


@pytest.fixture(scope='session')
def data(tmp_path_factory):
    """Folder that stands for ``data``."""
    return make_tiny_ava(tmp_path_factory.mktemp('data'))


@pytest.fixture
def mmaction_scope():
    """As in a run of the configs."""
    with DefaultScope.overwrite_default_scope('mmaction'):
        yield


@pytest.fixture
def quick_runs(tmp_path, monkeypatch):
    """Files of a run below ``tmp_path``; the config in the log is not laid out, which is slow."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Config, 'pretty_text', property(lambda cfg: repr(cfg._cfg_dict)))


def train_losses(runner):
    records = (Path(runner.log_dir) / 'vis_data' / 'scalars.json').read_text().splitlines()
    records = [json.loads(line) for line in records]
    return [record['loss'] for record in records if 'loss' in record]


@pytest.mark.parametrize('name', NAMES)
def test_config_builds_at_full_size(name, data, mmaction_scope):
    """Model with the published number of parameters, data, schedule, evaluator."""
    cfg = read_config(name, data)
    with torch.device('meta'):
        model = MODELS.build(copy.deepcopy(cfg.model))
    encoder = dict(base=86_394_624, large=304_096_256, huge=631_911_680)[cfg.model.backbone.arch]
    width = model.backbone.embed_dims
    assert sum(p.numel() for p in model.backbone.parameters()) == encoder
    assert sum(p.numel() for p in model.parameters()) == encoder + (width + 1) * 81
    assert cfg.train_dataloader.batch_size * 8 == cfg.auto_scale_lr.base_batch_size == 128

    sample = Runner.build_dataloader(cfg.train_dataloader, seed=0).dataset[0]
    assert sample['inputs'].shape == (1, 3, 16, 224, 224)
    assert sample['inputs'].dtype == torch.uint8
    sample = Runner.build_dataloader(cfg.test_dataloader, seed=0).dataset[0]
    assert sample['inputs'].shape == (1, 3, 16, 256, 344)  # of 64 x 86


def test_frames_are_every_fourth_around_the_second(data, mmaction_scope):
    """The same clip in training and testing, without jitter."""
    from mmaction.registry import TRANSFORMS

    cfg = read_config('mae_st_vitl_ava22.py', data)
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        step = TRANSFORMS.build(loader.dataset.pipeline[0])
        record = dict(fps=30, timestamp=910, timestamp_start=900, start_index=1)
        inds = step(record | dict(shot_info=(0, 27000)))['frame_inds']
        assert np.diff(inds).tolist() == [4] * 15
        assert abs(inds[8] - 301) <= 1  # the first frame of second 10, counted from 1


def test_excluded_seconds_are_left_out(data, mmaction_scope):
    cfg = read_config('mae_st_vitl_ava22.py', data)
    for subset, loader in (('train', cfg.train_dataloader), ('val', cfg.val_dataloader)):
        dataset = Runner.build_dataloader(loader, seed=0).dataset
        keys = [dataset.get_data_info(i)['img_key'] for i in range(len(dataset))]
        video, second = EXCLUDED[subset]
        assert f'{video},{second:04d}' not in keys
        assert len(keys) == (11 if subset == 'train' else 5)


def test_predicted_boxes_are_the_proposals(data, tmp_path, mmaction_scope):
    """Resizing, padding to whole patches and making boxes relative cancel out."""
    cfg = tiny_config('mae_st_vitl_ava22.py', data, tmp_path)
    model = MODELS.build(cfg.model).eval()
    dataset = Runner.build_dataloader(cfg.test_dataloader, seed=0).dataset
    given = load(cfg.test_dataloader.dataset.proposal_file)
    for index in range(len(dataset)):
        batch = pseudo_collate([dataset[index]])
        assert batch['inputs'][0].shape == (1, 3, 16, 64, 86)
        with torch.no_grad():
            (out,) = model.test_step(batch)
        persons = given[out.img_key]
        expected = persons[persons[:, 4] >= 0.9, :4]
        assert len(expected) == 2
        np.testing.assert_allclose(out.pred_instances.bboxes, expected, atol=1e-5)


def test_features_are_taken_where_the_box_is(data, tmp_path, mmaction_scope):
    """Of a padded clip: with features that are their own position, a box gives its position."""
    cfg = tiny_config('mae_st_vitl_ava22.py', data, tmp_path)
    model = MODELS.build(cfg.model).eval()
    height, width, stride = 4, 6, 16  # of 64 x 86 pixels, padded to 64 x 96
    rows, cols = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    centres = torch.stack([cols, rows]).float() * stride + stride / 2
    features = centres[None, :, None].expand(1, 2, 8, height, width).contiguous()
    x1, y1, x2, y2 = 20.0, 12.0, 68.0, 44.0
    rois, _ = model.roi_head.bbox_roi_extractor(features, torch.tensor([[0, x1, y1, x2, y2]]))
    assert rois.shape == (1, 2, 1, 7, 7)
    mean = rois[0, :, 0].mean(dim=(1, 2))
    torch.testing.assert_close(mean, torch.tensor([(x1 + x2) / 2, (y1 + y2) / 2]))


def test_an_encoder_of_v_jepa_2_detects(data, tmp_path, mmaction_scope):
    theirs = VJEPAEncoder(*TINY.values())
    state = {f'module.backbone.{name}': tensor for name, tensor in theirs.state_dict().items()}
    torch.save(dict(target_encoder=state), tmp_path / 'vitl.pt')
    cfg = tiny_config('mae_st_vitl_ava22.py', data, tmp_path)
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 'vitl.pt'))
    cfg.model.backbone.update(pos_embed='rope', with_cls_token=False, init_cfg=init)
    model = MODELS.build(cfg.model).eval()
    model.init_weights()
    assert torch.equal(model.backbone.norm.weight, theirs.norm.weight)
    batch = pseudo_collate([Runner.build_dataloader(cfg.test_dataloader, seed=0).dataset[0]])
    with torch.no_grad():
        (out,) = model.test_step(batch)
    assert out.pred_instances.scores.shape == (2, 81)


def test_trains_and_evaluates(data, tmp_path, quick_runs):
    """The paper's recipe, at its learning rate: the actions of the tiny set are learnt."""
    cfg = tiny_config('mae_st_vitb_ava22.py', data, tmp_path / 'run', epochs=15)
    runner = Runner.from_cfg(cfg)
    before = runner.test()['mAP/overall']
    runner.train()
    losses = train_losses(runner)
    assert len(losses) == 30 and losses[-1] < 0.2 * losses[0]
    assert before < 0.9
    groups = ('overall', 'person_movement', 'object_manipulation', 'person_interaction')
    for group in groups:
        assert runner.message_hub.get_scalar(f'val/mAP/{group}').current() > 0.95, group
    assert list(tmp_path.glob('AVA_*.csv')) == []
    assert (tmp_path / 'run' / 'epoch_15.pth').exists()


@pytest.mark.parametrize('name', ['mae_st_vitl_ava22_adamw.py', 'mae_st_vitb_ava_kinetics.py'])
def test_other_recipes_train_and_evaluate(name, data, tmp_path, quick_runs):
    cfg = tiny_config(name, data, tmp_path / 'run')
    if 'kinetics' in name:
        cfg.train_dataloader.dataset.indices = [-1, -2, 0, 1]  # the Kinetics clip comes last
    runner = Runner.from_cfg(cfg)
    runner.train()
    losses = train_losses(runner)
    assert losses and np.isfinite(losses).all()
    assert 0 <= runner.message_hub.get_scalar('val/mAP/overall').current() <= 1


def test_pretraining_checkpoint_at_another_size(data, tmp_path, mmaction_scope):
    """From a 16 x 224 x 224 checkpoint nothing is missing, and clips of 256 x 352 run."""
    pretraining = MODELS.build(
        dict(
            type='SpatiotemporalMAE',
            _scope_='mmmae_st',
            backbone=dict(type='SpacetimeViT', arch=TINY),
            decoder=dict(type='MAEDecoder', encoder_dims=32, embed_dims=32, depth=1, num_heads=2),
            head=dict(type='MAEHead', embed_dims=32),
        )
    )
    path = tmp_path / 'pretraining.pth'
    save_checkpoint(dict(state_dict=pretraining.state_dict()), str(path))

    cfg = read_config('mae_st_vitl_ava22.py', data)
    cfg.model.backbone.update(arch=TINY, drop_path_rate=0.0)
    cfg.model.backbone.init_cfg.checkpoint = str(path)
    cfg.model.roi_head.bbox_head.update(in_channels=32, dropout_ratio=0.0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    encoder = pretraining.backbone.state_dict()
    assert model.backbone.state_dict().keys() == encoder.keys()
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, encoder[name]), name

    sample = Runner.build_dataloader(cfg.test_dataloader, seed=0).dataset[0]
    batch = model.data_preprocessor(pseudo_collate([copy.deepcopy(sample)]), training=True)
    assert batch['inputs'].shape == (1, 3, 16, 256, 352)
    assert model.backbone(batch['inputs']).shape == (1, 32, 8, 16, 22)
    losses = model(**batch, mode='loss')
    losses['loss_action_cls'].backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []

    with torch.no_grad():
        (out,) = model.eval().test_step(pseudo_collate([sample]))
    assert out.pred_instances.scores.shape == (2, 81)
    assert out.img_shape == (256, 344)
    assert set(torch.nonzero(out.gt_instances.labels)[:, 1].tolist()) <= set(ACTIONS)


def test_foreign_checkpoint_is_refused(data, tmp_path, mmaction_scope):
    """A checkpoint of something else is refused, naming it."""
    path = tmp_path / 'other.pth'
    save_checkpoint(dict(state_dict=torch.nn.Linear(2, 2).state_dict()), str(path))
    cfg = read_config('mae_st_vitl_ava22.py', data)
    cfg.model.backbone.update(arch=TINY)
    cfg.model.backbone.init_cfg.checkpoint = str(path)
    cfg.model.roi_head.bbox_head.in_channels = 32
    with pytest.raises(ValueError, match='other.pth'):
        MODELS.build(cfg.model).init_weights()
