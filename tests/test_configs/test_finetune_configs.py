"""Every configuration of configs/finetune and configs/frozen: built, and held to the recipes."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, FUNCTIONS, METRICS, MODELS

from mmmae_st.registry import MODELS as OUR_MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
FINETUNE = sorted(path.stem for path in (CONFIGS / 'finetune').glob('*.py'))
FROZEN = sorted(path.stem for path in (CONFIGS / 'frozen').glob('*.py'))
CLASSES = dict(k400=400, k600=600, k700=700, ssv2=174, ucf101=101, hmdb51=51)
# drop path, layer decay, passes on Kinetics, learning rate and videos per update of AdamW
RECIPES = dict(
    vitb=(0.1, 0.65, 75, 6e-4, 32),
    vitl=(0.2, 0.75, 50, 3e-4, 16),
    vith=(0.2, 0.8, 75, 3e-4, 16),
)


def load(kind: str, name: str) -> Config:
    return Config.fromfile(CONFIGS / kind / f'{name}.py')


def build_datasets(cfg: Config) -> dict[str, list[str]]:
    """Names of the steps of each pipeline, after building them."""
    steps = {}
    for name in ('train', 'val', 'test'):
        if f'{name}_dataloader' in cfg:
            loader = cfg[f'{name}_dataloader']
            dataset = DATASETS.build(dict(loader.dataset, lazy_init=True))
            steps[name] = [type(step).__name__ for step in dataset.pipeline.transforms]
            collate = loader.get('collate_fn', dict(type='pseudo_collate'))
            assert FUNCTIONS.get(collate['type']) is not None
    return steps


@pytest.mark.parametrize('name', FINETUNE)
def test_finetune_config(name, scope):
    pytest.importorskip('mmaction')
    cfg = load('finetune', name)
    arch, dataset = name.split('_')[:2]
    num_classes = CLASSES[dataset]
    blending = MODELS.build(cfg.model.data_preprocessor.pop('blending'))
    assert blending.probs[:2] == [0.5, 0.5] and blending.probs[2] == 0
    assert {augment.num_classes for augment in blending.augments[:2]} == {num_classes}
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    width = model.backbone.embed_dims
    assert model.cls_head.fc_cls.weight.shape == (num_classes, width)
    assert model.cls_head.average_clips == 'prob' and model.cls_head.label_smooth_eps == 0.1
    assert model.backbone.out_type == 'pooled'
    METRICS.build(cfg.test_evaluator)

    steps = build_datasets(cfg)
    assert ('ClipFlip' in steps['train']) == (dataset != 'ssv2')
    assert steps['train'][:3] == ['LoadClips', 'ClipRandAugment', 'ClipRandomResizedCrop']
    assert steps['train'][-2:] == ['ClipRandomErasing', 'PackActionClips']
    assert cfg.train_dataloader.dataset.pipeline[0].num_clips == 2
    assert 'ClipThreeCrop' in steps['test'] and cfg.test_dataloader.dataset.test_mode

    processes = 1 if name.endswith('1gpu') else 8
    per_update = cfg.train_dataloader.batch_size * processes
    assert cfg.auto_scale_lr.base_batch_size == per_update * cfg.optim_wrapper.get(
        'accumulative_counts', 1
    )
    warm_up, cosine = cfg.param_scheduler
    assert warm_up.end == cosine.begin and cosine.end == cfg.train_cfg.max_epochs
    assert cosine.T_max == cosine.end - cosine.begin
    cfg.optim_wrapper.optimizer.pop('fused', None)  # refuses the meta device
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    rate = RECIPES[arch][1]
    depth = len(model.backbone.blocks)
    assert min(g['lr_scale'] for g in groups) == pytest.approx(rate ** (depth + 1))


@pytest.mark.parametrize('dataset', ['k400', 'k600', 'k700'])
@pytest.mark.parametrize('arch', sorted(RECIPES))
def test_kinetics_recipes(arch, dataset):
    pytest.importorskip('mmaction')
    cfg = load('finetune', f'{arch}_{dataset}')
    drop_path, rate, epochs, lr, videos = RECIPES[arch]
    assert cfg.model.backbone.drop_path_rate == drop_path
    assert cfg.model.cls_head.dropout_ratio == (0.5 if arch == 'vith' else 0.3)
    assert cfg.optim_wrapper.paramwise_cfg.layer_decay_rate == rate
    assert cfg.train_cfg.max_epochs == epochs and cfg.param_scheduler[0].end == 5
    optimizer = cfg.optim_wrapper.optimizer
    assert optimizer.lr == lr == pytest.approx(1.875e-5 * videos)
    assert optimizer.betas == (0.9, 0.999) and optimizer.weight_decay == 0.05
    assert cfg.optim_wrapper.clip_grad.max_norm == 5.0
    assert cfg.auto_scale_lr.base_batch_size == videos
    assert cfg.test_dataloader.dataset.pipeline[0].num_clips == 7


def test_ssv2_recipe():
    pytest.importorskip('mmaction')
    cfg = load('finetune', 'vitl_ssv2')
    assert cfg.optim_wrapper.optimizer.type == 'SGD'
    assert cfg.train_cfg.max_epochs * cfg.train_dataloader.dataset.pipeline[0].num_clips == 40
    assert cfg.model.cls_head.dropout_ratio == 0.5
    samplings = [
        cfg[f'{name}_dataloader'].dataset.pipeline[0].sampling for name in ('train', 'val', 'test')
    ]
    assert samplings == ['segment', 'segment_center', 'segment_center']


@pytest.mark.parametrize('name', FROZEN)
def test_frozen_config(name):
    cfg = load('frozen', name)
    with torch.device('meta'):
        backbone = OUR_MODELS.build(dict(cfg.backbone, _scope_='mmmae_st'))
    assert backbone.embed_dims % cfg.attentive.num_heads == 0
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.dataset._scope_ = 'mmmae_st'
    assert build_datasets(cfg)['test'][-1] == 'PackClips'
