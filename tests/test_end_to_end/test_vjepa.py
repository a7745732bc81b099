"""A file of V-JEPA 2 in frozen evaluation, features and a recogniser, through the configs."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from references.layers import randomise
from references.vjepa import VJEPAEncoder

ROOT = Path(__file__).parents[2]
ARCH = dict(embed_dims=48, depth=2, num_heads=2)
BACKBONE = dict(
    arch=ARCH, img_size=32, num_frames=8, pos_embed='rope', with_cls_token=False, patch_size=16
)


@pytest.fixture(scope='module')
def reference() -> VJEPAEncoder:
    return randomise(VJEPAEncoder(48, 2, 2)).eval()


@pytest.fixture(scope='module')
def checkpoint(reference, tmp_path_factory) -> Path:
    """A tiny file by Meta's names."""
    path = tmp_path_factory.mktemp('vjepa') / 'vitl.pt'
    state = {f'module.backbone.{name}': t for name, t in reference.state_dict().items()}
    torch.save({'encoder': {}, 'target_encoder': state}, path)
    return path


@pytest.mark.slow
def test_frozen_evaluation(labelled, checkpoint, run_tool, tmp_path):
    cfg = Config.fromfile(ROOT / 'configs/frozen/vjepa2_vitl_k400.py')
    assert (cfg.backbone.pos_embed, cfg.train_dataloader.dataset.pipeline[2]['size']) == (
        'rope',
        256,
    )
    cfg.backbone.update(arch=ARCH, img_size=32, num_frames=8)
    for name in ('train', 'test'):
        loader = cfg[f'{name}_dataloader']
        loader.update(batch_size=4, num_workers=0, pin_memory=False)
        loader.dataset.data_root = str(labelled)
        steps = loader.dataset.pipeline
        steps[0].update(clip_len=8, frame_interval=1)
        steps[1].short_side = steps[2].size = 32
    cfg.knn.num_neighbors = (1,)
    cfg.linear.update(epochs=2, batch_size=4)
    cfg.attentive.update(epochs=2, batch_size=4, num_heads=2, token_grid=None)
    cfg.dump(tmp_path / 'frozen.py')
    command = ('tools/frozen_eval.py', tmp_path / 'frozen.py', checkpoint)
    run_tool(*command, 'knn', 'linear', 'attentive', folder=tmp_path)
    log = (tmp_path / 'work_dirs/frozen_frozen/frozen_eval.log').read_text()
    rows = re.findall(r'^(k-NN|linear probe|attentive probe) .* (\d+\.\d+) +\d+\.\d+$', log, re.M)
    assert {name for name, _ in rows} == {'k-NN', 'linear probe', 'attentive probe'}
    assert float(rows[0][1]) > 50  # colours, of three classes


def test_features(labelled, checkpoint, tmp_path):
    model = dict(backbone=dict(type='SpacetimeViT', **BACKBONE))
    (tmp_path / 'config.py').write_text(f"default_scope = 'mmmae_st'\nmodel = {model!r}\n")
    main = runpy.run_path(str(ROOT / 'tools/extract_features.py'))['main']
    paths = checkpoint, labelled / 'videos_val', '--config', tmp_path / 'config.py'
    out = tmp_path / 'features.npz'
    main([*map(str, paths), '--out', str(out), '--workers', '0', '--frame-interval', '1'])
    found = np.load(out)
    assert found['features'].shape == (6, 48) and np.isfinite(found['features']).all()


def test_recogniser(tiny_config, checkpoint, reference, scope):
    pytest.importorskip('mmaction')
    cfg = tiny_config(checkpoint)
    cfg.model.backbone.update(BACKBONE)
    cfg.model.cls_head.in_channels = 48
    model = MODELS.build(cfg.model)
    model.init_weights()
    clips = torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        wanted = reference(clips)
        model.eval().backbone.out_type = 'tokens'
        assert torch.allclose(model.backbone(clips), wanted, rtol=1e-4, atol=1e-5)
    model.train().backbone.out_type = 'pooled'
    inputs = [torch.randint(0, 255, (1, 3, 8, 32, 32), dtype=torch.uint8) for _ in range(2)]
    samples = [_labelled_sample(label) for label in (0, 2)]
    batch = model.data_preprocessor(dict(inputs=inputs, data_samples=samples), training=True)
    model(**batch, mode='loss')['loss_cls'].backward()
    assert all(param.grad is not None for param in model.parameters())


def _labelled_sample(label: int):
    from mmaction.structures import ActionDataSample

    return ActionDataSample().set_gt_label(label)
