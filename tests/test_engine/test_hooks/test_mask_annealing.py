from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmmae_st.engine import MaskAnnealingHook
from mmmae_st.engine.hooks.mask_annealing import annealed_ratio, draw_ids
from mmmae_st.models import SpacetimeViT

GRID = (4, 4, 4)


def test_ratio_falls_by_a_cosine():
    ratios = [annealed_ratio(epoch, 10, 0.5) for epoch in range(11)]
    assert ratios[0] == 0.5 and ratios[5] == pytest.approx(0.25) and ratios[10] == 0
    assert all(a > b for a, b in pairwise(ratios))


def test_no_patch_is_lost_to_rounding():
    ratio = annealed_ratio(2, 3, 0.75)  # three sixteenths and a bit of floating point
    assert 3 / 16 < ratio < 3 / 16 + 1e-9
    assert len(draw_ids(GRID, ratio, (0, 1, 2, 3))) == 52


def test_ids_depend_on_seed_epoch_index_and_view_only():
    key = (0, 1, 2, 3)
    ids = draw_ids(GRID, 0.5, key)
    assert len(ids) == 32 and (np.diff(ids) > 0).all()
    assert np.array_equal(ids, draw_ids(GRID, 0.5, key))
    for place in range(4):
        other = tuple(value + (i == place) for i, value in enumerate(key))
        assert not np.array_equal(ids, draw_ids(GRID, 0.5, other))


@pytest.fixture
def setting():
    torch.manual_seed(0)
    backbone = SpacetimeViT(dict(embed_dims=16, depth=1, num_heads=2), 32, 8, 8, out_type='pooled')
    lines = []
    runner = SimpleNamespace(
        model=SimpleNamespace(backbone=backbone),
        seed=0,
        epoch=1,
        max_epochs=4,
        logger=SimpleNamespace(info=lines.append),
        lines=lines,
    )
    samples = [SimpleNamespace(index=3, view=view) for view in range(2)]
    hook = MaskAnnealingHook(ratio=0.5)
    hook.before_train(runner)
    hook.before_train_iter(runner, 0, dict(data_samples=samples))
    return hook, runner, backbone, torch.randn(2, 3, 8, 32, 32)


def test_the_backbone_sees_what_is_kept(setting):
    _, _, backbone, clips = setting
    ratio = annealed_ratio(1, 4, 0.5)
    ids = torch.from_numpy(np.stack([draw_ids(GRID, ratio, (0, 1, 3, view)) for view in range(2)]))
    assert ids.shape == (2, 36)  # 64 * (1 - 0.427) = 36.7
    masked = backbone(clips)
    backbone.eval()
    assert torch.equal(masked, backbone(clips, ids))
    assert not torch.allclose(masked, backbone(clips))  # testing sees everything


def test_after_training_nothing_is_masked(setting):
    hook, runner, backbone, clips = setting
    hook.after_train_epoch(runner)
    assert runner.lines == ['Epoch 2 removed 42.7% of the patches.']
    hook.after_train(runner)
    full = backbone(clips)
    backbone.eval()
    assert torch.equal(full, backbone(clips))


@pytest.mark.parametrize('ratio', [0.0, 1.0, -0.1])
def test_bad_ratio_is_named(ratio):
    with pytest.raises(ValueError, match='ratio'):
        MaskAnnealingHook(ratio)
