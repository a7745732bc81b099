import pytest
import torch
from mmengine.config import Config

from mmmae_st.models import SpacetimeViT

pytest.importorskip('mmaction')

COUNTS = dict(vitb=86_702_224, vitl=304_506_256, vith=632_424_080)


def build(cfg: Config):
    from mmengine.registry import MODELS

    return MODELS.build(cfg.model)


def batches(cfg: Config, name: str):
    from mmengine.runner import Runner

    return list(Runner.build_dataloader(cfg[f'{name}_dataloader'], seed=0))


@pytest.mark.parametrize('arch', sorted(COUNTS))
def test_published_parameter_counts(arch, scope, request):
    root = request.config.rootpath
    cfg = Config.fromfile(root / 'configs' / 'finetune' / f'{arch}_k400.py')
    del cfg.model.data_preprocessor['blending']
    with torch.device('meta'):
        model = build(cfg)
    assert sum(param.numel() for param in model.parameters()) == COUNTS[arch]


def test_every_parameter_gets_a_gradient(tiny_config, scope):
    cfg = tiny_config()
    model = build(cfg)
    model.init_weights()
    assert 1e-5 < model.cls_head.fc_cls.weight.std() < 4e-5
    batch = model.data_preprocessor(batches(cfg, 'train')[0], training=True)
    assert batch['inputs'].shape == (8, 1, 3, 8, 32, 32)
    losses = model(**batch, mode='loss')
    assert losses['loss_cls'].item() == pytest.approx(torch.log(torch.tensor(3.0)).item(), 1e-3)
    losses['loss_cls'].backward()
    missing = [name for name, param in model.named_parameters() if param.grad is None]
    assert not missing


def test_mixed_labels_are_smoothed_and_sum_to_one(tiny_config, scope):
    cfg = tiny_config()
    model = build(cfg)
    batch = model.data_preprocessor(batches(cfg, 'train')[0], training=True)
    labels = torch.stack([sample.gt_label for sample in batch['data_samples']])
    assert labels.shape == (8, 3)
    assert torch.allclose(labels.sum(1), torch.ones(8))
    assert model.cls_head.label_smooth_eps == 0.1


def test_repeated_sampling_gives_two_clips_of_each_video(tiny_config, scope):
    for batch in batches(tiny_config(), 'train'):
        keys = [(sample.path, sample.view) for sample in batch['data_samples']]
        assert [view for _, view in keys] == [0, 1] * 4
        assert all(keys[i][0] == keys[i + 1][0] for i in range(0, 8, 2))
        labels = [int(sample.gt_label) for sample in batch['data_samples']]
        assert all(labels[i] == labels[i + 1] for i in range(0, 8, 2))


def test_samples_do_not_depend_on_the_workers(tiny_config, scope):
    cfg = tiny_config()
    alone = batches(cfg, 'train')
    cfg.train_dataloader.num_workers = 2
    for one, two in zip(alone, batches(cfg, 'train'), strict=True):
        for clip, other in zip(one['inputs'], two['inputs'], strict=True):
            assert torch.equal(clip, other)


def test_probabilities_of_the_views_are_averaged(tiny_config, scope):
    cfg = tiny_config()
    torch.manual_seed(0)
    model = build(cfg).eval()
    torch.nn.init.normal_(model.cls_head.fc_cls.weight, std=0.3)  # scores of which none rules
    batch = batches(cfg, 'test')[0]
    assert batch['inputs'][0].shape == (21, 3, 8, 32, 32)
    with torch.no_grad():
        result = model.test_step(batch)[0]
        clips = model.data_preprocessor(batch)['inputs'][0]
        each = model.cls_head.fc_cls(model.backbone(clips)).softmax(dim=1)
    assert (each - each.mean(0)).abs().max() > 1e-3
    assert torch.allclose(result.pred_score, each.mean(0), atol=1e-6)


@pytest.mark.parametrize('num_frames', [8, 32])
def test_fine_tuning_at_other_lengths_from_a_16_frame_checkpoint(
    num_frames, tiny_config, tmp_path, scope
):
    cfg = tiny_config(tmp_path / 'pretrained.pth', num_frames)
    args = {k: v for k, v in cfg.model.backbone.items() if k not in ('type', 'init_cfg')}
    pretrained = SpacetimeViT(**dict(args, num_frames=16, out_type='tokens'))
    state = {f'backbone.{name}': value for name, value in pretrained.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'pretrained.pth')

    model = build(cfg)
    model.init_weights()
    loaded = dict(model.backbone.named_parameters())
    for name, param in pretrained.named_parameters():
        if name != 'pos_embed.temporal':
            assert torch.equal(loaded[name], param), name
    assert loaded['pos_embed.temporal'].shape == (1, num_frames // 2, 32)
    batch = model.data_preprocessor(batches(cfg, 'train')[0], training=True)
    assert batch['inputs'].shape[3] == num_frames
    loss = model(**batch, mode='loss')['loss_cls']
    loss.backward()
    assert loss.isfinite() and loaded['pos_embed.temporal'].grad.abs().sum() > 0
