"""The pretraining schedule against the published formula (lr per fractional epoch)."""

import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS

ROOT = Path(__file__).parents[2]
ITERS = 50  # per epoch


def published(epoch, lr, warmup, epochs):
    if epoch < warmup:
        return lr * epoch / warmup
    return lr / 2 * (1 + math.cos(math.pi * (epoch - warmup) / (epochs - warmup)))


@pytest.mark.parametrize(
    ('config', 'lr', 'warmup', 'epochs'),
    [
        ('configs/mae_st_vitl_k400.py', 4e-4, 30, 200),
        ('configs/mae_st_vith_k400.py', 2e-4, 60, 400),
        ('configs/ablation/repeats_1.py', 1.6e-3, 120, 800),
    ],
)
def test_learning_rate_follows_the_formula(config, lr, warmup, epochs):
    cfg = Config.fromfile(ROOT / config)
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(lr)
    videos = cfg.train_dataloader.batch_size * 8
    assert (
        lr == pytest.approx(videos * 1.6e-3 / 512) and cfg.auto_scale_lr.base_batch_size == videos
    )
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    schedulers = [
        PARAM_SCHEDULERS.get(s.type).build_iter_from_epoch(
            **{k: v for k, v in s.items() if k not in ('type', 'convert_to_iter_based')},
            optimizer=optimizer,
            epoch_length=ITERS,
        )
        for s in cfg.param_scheduler
    ]
    for step in range(epochs * ITERS):
        wanted = published(step / ITERS, lr, warmup, epochs)
        # mmengine reaches the peak one iteration before the end of warm-up.
        assert optimizer.param_groups[0]['lr'] == pytest.approx(
            wanted, abs=1.1 * lr / (warmup * ITERS - 1)
        ), f'iteration {step}'
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
