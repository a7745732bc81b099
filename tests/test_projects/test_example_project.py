import re
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from mmmae_st.registry import MODELS, TRANSFORMS

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def on_the_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
def cfg():
    return Config.fromfile(ROOT / 'projects/example_project/configs/cell_masking_vitb_k400.py')


def test_config_finds_the_component_by_its_import(cfg):
    masking = TRANSFORMS.build(cfg.train_dataloader.dataset.pipeline[3])
    assert type(masking).__module__ == 'projects.example_project.cell_masking'
    ids = masking.draw((8, 14, 14), np.random.default_rng(0))
    assert ids.shape == (196,) and ids.dtype == np.int64 and (np.diff(ids) > 0).all()
    cells = np.stack(np.unravel_index(ids, (8, 14, 14))) // 2
    assert len(np.unique(cells, axis=1).T) == 196  # one in each
    other = masking.draw((8, 14, 14), np.random.default_rng(1))
    assert (ids != other).any()


def test_a_step_with_it(cfg, clips):
    import torch
    from support.tiny_checkpoint import tiny_config

    pipeline = cfg.train_dataloader.dataset.pipeline
    masking = dict(pipeline[3], patch_size=8)
    small = [
        dict(type='LoadClips', clip_len=8, frame_interval=2, num_clips=2),
        dict(type='ClipRandomResizedCrop', size=32),
        masking,
        dict(type='PackClips'),
    ]
    results = dict(path=str(clips['plain']), sample_key=(0, 0, 0), failures=[])
    for transform in small:
        results = TRANSFORMS.build(transform).transform(results)
    model = MODELS.build(tiny_config().model)
    batch = {key: [results[key]] for key in ('inputs', 'ids_keep', 'data_samples')}
    loss = model(**model.data_preprocessor(batch), mode='loss')['loss']
    loss.backward()
    assert torch.isfinite(loss) and batch['ids_keep'][0].shape == (2, 8)


@pytest.mark.parametrize('cell', [(1, 1, 1), (0, 2, 2), (2, 2)])
def test_bad_cells_are_named(cfg, cell):
    with pytest.raises(ValueError, match='cell must be three sizes'):
        TRANSFORMS.build(dict(type='CellMasking', cell=cell))
    with pytest.raises(ValueError, match='does not divide into cells'):
        TRANSFORMS.build(dict(type='CellMasking')).draw((8, 7, 14), np.random.default_rng(0))


def test_core_never_imports_projects():
    pattern = re.compile(r'^\s*(from|import)\s+projects\b', re.MULTILINE)
    sources = list((ROOT / 'mmmae_st').rglob('*.py')) + list((ROOT / 'tools').rglob('*.py'))
    assert sources
    assert [path for path in sources if pattern.search(path.read_text())] == []
