"""Every config of the repository is checked and built, and its pipelines run on a clip."""

import copy
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, DefaultScope

from mmmae_st.config import check_config

ROOT = Path(__file__).parents[2]
FILES = [
    path.relative_to(ROOT)
    for folder in ('configs', 'projects')
    for path in sorted((ROOT / folder).rglob('*.py'))
    if '_base_' not in path.parts and 'configs' in path.parts
]
NEEDS = {'finetune': 'mmaction', 'detection': 'mmdet'}
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def load(file: Path) -> Config:
    for folder, package in NEEDS.items():
        if folder in file.parts and find_spec(package) is None:
            pytest.skip(f'needs {package}')
    return Config.fromfile(ROOT / file)


@pytest.fixture(scope='module')
def one_clip(tmp_path_factory, make_clip) -> Path:
    root = tmp_path_factory.mktemp('one_clip')
    make_clip(root / 'clip.mp4', num_frames=90)
    (root / 'list.txt').write_text('clip.mp4 0\n')
    return root


def test_there_are_configs():
    assert len(FILES) > 20 and Path('configs/smoke.py') in FILES


@pytest.mark.parametrize('file', FILES, ids=str)
def test_config_is_sound_and_its_model_builds(file):
    cfg = load(file)
    check_config(cfg)
    model_cfg = cfg.get('model') or cfg.backbone  # frozen features need no more
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        if cfg.default_scope == 'mmaction':  # mixup's distributions are no meta tensors
            MODELS.build(model_cfg.pop('data_preprocessor'))
        with torch.device('meta'):
            model = MODELS.build(model_cfg)
    assert sum(parameter.numel() for parameter in model.parameters()) > 0
    assert all(parameter.is_meta for parameter in model.parameters())


def pipelines() -> dict[str, list[tuple[Path, str]]]:
    """Different datasets among all configs, with where they are used."""
    found: dict[str, list[tuple[Path, str]]] = {}
    for file in FILES:
        if any(folder in file.parts and find_spec(name) is None for folder, name in NEEDS.items()):
            continue
        cfg = Config.fromfile(ROOT / file)
        for loader in LOADERS:
            dataset = (cfg.get(loader) or {}).get('dataset')
            if dataset is not None and dataset.type.split('.')[-1] == 'VideoDataset':
                pipeline = f'{cfg.default_scope} {dataset.pipeline}'
                found.setdefault(pipeline, []).append((file, loader))
    return found


def test_every_pipeline_runs_on_a_clip(one_clip):
    """Detection has datasets of its own; see tests/test_end_to_end."""
    found = pipelines()
    assert len(found) >= 10
    for users in found.values():
        file, loader = users[0]
        cfg = Config.fromfile(ROOT / file)
        dataset = copy.deepcopy(cfg[loader].dataset)
        dataset.update(data_root=str(one_clip), ann_file='list.txt', data_prefix=dict(video=''))
        dataset.pop('indices', None)
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            try:
                sample = DATASETS.build(dataset)[0]
            except Exception as error:
                raise AssertionError(f'{loader} of {file}') from error
        first = sample if isinstance(sample, dict) else sample[0]
        inputs = first['inputs']
        inputs = inputs if isinstance(inputs, torch.Tensor) else inputs[0]
        assert inputs.dtype == torch.uint8 and inputs.ndim in (4, 5), (file, loader)
