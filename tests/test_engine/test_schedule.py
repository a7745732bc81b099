"""The learning rates of every config against the published formula."""

import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope

from mmmae_st.engine import WarmupLR

ROOT = Path(__file__).parents[2]
ITERS = 7  # per epoch
CONFIGS = [
    path.relative_to(ROOT)
    for path in sorted((ROOT / 'configs').rglob('*.py'))
    if '_base_' not in path.parts and 'frozen' not in path.parts
]


def published(epoch, lr, warmup, epochs):
    """The rate in a fractional epoch."""
    if epoch < warmup:
        return lr * epoch / warmup
    return lr / 2 * (1 + math.cos(math.pi * (epoch - warmup) / (epochs - warmup)))


def rates_of(cfg: Config, scope: str) -> list[list[float]]:
    """Rates of a layer and of one with a hundredth of the rate, in each iteration."""
    lr = cfg.optim_wrapper.optimizer.lr
    params = [dict(params=[torch.zeros(1, requires_grad=True)], lr=rate) for rate in (lr, lr / 100)]
    optimizer = torch.optim.SGD(params, lr=lr)
    with DefaultScope.overwrite_default_scope(scope):
        schedulers = [
            PARAM_SCHEDULERS.build(s, default_args=dict(optimizer=optimizer, epoch_length=ITERS))
            for s in cfg.param_scheduler
        ]
    rates = []
    for _ in range(cfg.train_cfg.max_epochs * ITERS):
        rates.append([group['lr'] for group in optimizer.param_groups])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return rates


def test_there_are_configs():
    assert len(CONFIGS) > 50


@pytest.mark.parametrize('config', CONFIGS, ids=str)
def test_learning_rate_is_the_published_one(config):
    cfg = Config.fromfile(ROOT / config, import_custom_modules=False)
    epochs, lr = cfg.train_cfg.max_epochs, cfg.optim_wrapper.optimizer.lr
    warmup = sum(s.end for s in cfg.param_scheduler if s.type.endswith('WarmupLR'))
    assert warmup > 0 or config.name == 'smoke.py'
    for step, rates in enumerate(rates_of(cfg, cfg.default_scope)):
        wanted = published(step / ITERS, lr, warmup, epochs)
        assert rates == pytest.approx([wanted, wanted / 100], rel=1e-9, abs=1e-9 * lr), step


@pytest.mark.parametrize(
    ('config', 'lr', 'warmup', 'epochs'),
    [
        ('configs/mae_st_vitl_k400.py', 4e-4, 30, 200),
        ('configs/mae_st_vith_k400.py', 2e-4, 60, 400),
        ('configs/ablation/repeats_1.py', 1.6e-3, 120, 800),
    ],
)
def test_numbers_of_pretraining(config, lr, warmup, epochs):
    cfg = Config.fromfile(ROOT / config)
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(lr)
    videos = cfg.train_dataloader.batch_size * 8
    assert lr == pytest.approx(videos * 1.6e-3 / 512)
    assert cfg.auto_scale_lr.base_batch_size == videos
    assert (cfg.param_scheduler[0].end, cfg.train_cfg.max_epochs) == (warmup, epochs)


def test_warm_up_that_does_not_last_is_refused():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    with pytest.raises(ValueError, match='end must be greater than begin=5, got 5'):
        WarmupLR(optimizer, begin=5, end=5)
