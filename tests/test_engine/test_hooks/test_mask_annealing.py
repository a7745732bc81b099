from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmmae_st.datasets.sample_key import epoch_of_pass, finetuning_mask_rng
from mmmae_st.datasets.transforms.masking import draw_random, num_keep
from mmmae_st.engine import MaskAnnealingHook
from mmmae_st.engine.hooks.mask_annealing import annealed_ratio
from mmmae_st.models import SpacetimeViT

GRID = (4, 4, 4)


def test_ratio_falls_by_a_cosine():
    ratios = [annealed_ratio(epoch, 10, 0.5) for epoch in range(11)]
    assert ratios[0] == 0.5 and ratios[5] == pytest.approx(0.25) and ratios[10] == 0
    assert all(a > b for a, b in pairwise(ratios))


def test_no_patch_is_lost_to_rounding():
    ratio = annealed_ratio(2, 3, 0.75)  # three sixteenths and a bit of floating point
    assert 3 / 16 < ratio < 3 / 16 + 1e-9
    assert num_keep(64, ratio) == 52


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
    epochs = 1, epoch_of_pass(1, 1)  # the same view comes again
    samples = [SimpleNamespace(epoch=epoch, index=3, view=0) for epoch in epochs]
    hook = MaskAnnealingHook(ratio=0.5)
    hook.before_train(runner)
    hook.before_train_iter(runner, 0, dict(data_samples=samples))
    return hook, runner, backbone, torch.randn(2, 3, 8, 32, 32)


def test_the_backbone_sees_what_is_kept(setting):
    _, _, backbone, clips = setting
    ratio = annealed_ratio(1, 4, 0.5)
    rngs = [finetuning_mask_rng((0, epoch, 3), 0) for epoch in (1, epoch_of_pass(1, 1))]
    ids = torch.from_numpy(np.stack([draw_random(GRID, ratio, rng) for rng in rngs]))
    assert ids.shape == (2, 36)  # 64 * (1 - 0.427) = 36.7
    assert not ids[0].equal(ids[1])
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


def test_samples_of_pretraining_are_refused(setting):
    hook, runner, *_ = setting
    batch = dict(data_samples=[SimpleNamespace(path='a.mp4', epoch=0, index=0)])
    with pytest.raises(ValueError, match='samples with view, .* in pretraining the pipeline masks'):
        hook.before_train_iter(runner, 0, batch)


@pytest.mark.parametrize('ratio', [0.0, 1.0, -0.1])
def test_bad_ratio_is_named(ratio):
    with pytest.raises(ValueError, match='ratio'):
        MaskAnnealingHook(ratio)
