import json

import pytest
from support.tiny_checkpoint import tiny_config

from mmmae_st.analysis.config_cost import config_cost, views_of_test
from mmmae_st.datasets.transforms import ClipThreeCrop
from mmmae_st.engine import BFloat16OptimWrapper
from mmmae_st.registry import TRANSFORMS


@pytest.fixture
def get_flops(tool):
    return tool('analysis_tools/get_flops.py').main


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'tiny.py'
    tiny_config().dump(path)
    return str(path)


def test_table(get_flops, config, capsys):
    get_flops([config, '--ratio', '0.5', '--shape', '8', '32', '64', '--depth', '3'])
    text = capsys.readouterr().out
    assert '8 frames of 32 x 64 pixels: 4 x 4 x 8 = 128 patches' in text
    assert 'as published' in text and '(50% of the patches left out)' in text
    assert 'blocks' in text and '    0 ' in text


def test_json_and_overrides(get_flops, config, capsys):
    get_flops([config, '--json', '--cfg-options', 'model.backbone.arch.depth=1'])
    report = json.loads(capsys.readouterr().out)
    assert report['task'] == 'pretraining'
    names = [row['name'] for row in report['modules']]
    assert 'backbone.blocks.0' in names and 'backbone.blocks.1' not in names
    assert report['published']['ratio'] > 1


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['nothing.py'], 'config nothing.py does not exist'),
        (['{config}', '--ratio', '2'], 'ratio must be in'),
        (['{config}', '--shape', '8', '30', '32'], 'multiples of patch_size'),
    ],
)
def test_errors_are_one_line(get_flops, config, args, message):
    with pytest.raises(SystemExit, match=message):
        get_flops([arg.format(config=config) for arg in args])


def test_recognition_config(get_flops, capsys):
    pytest.importorskip('mmaction')
    get_flops(['configs/finetune/vitb_k400.py', '--json'])
    report = json.loads(capsys.readouterr().out)
    assert report['modules'][0]['multiply_adds'] / 1e9 == pytest.approx(180.5, abs=0.05)
    assert report['modules'][0]['parameters'] == 86_702_224
    assert report['views'] == 21


def test_detection_config(get_flops, capsys):
    pytest.importorskip('mmdet')
    get_flops(['configs/detection/mae_st_vitb_ava22.py', '--shape', '16', '256', '352'])
    text = capsys.readouterr().out
    assert 'detection, one view of 16 frames of 256 x 352 pixels' in text
    assert 'RoI head works on the boxes' in text


def test_types_may_be_classes():
    cfg = tiny_config()
    by_name = config_cost(cfg).total
    for step in cfg.train_dataloader.dataset.pipeline:
        step['type'] = TRANSFORMS.get(step['type'])
    cfg.optim_wrapper = dict(type=BFloat16OptimWrapper)
    assert config_cost(cfg).total.multiply_adds == by_name.multiply_adds
    cfg.test_dataloader = dict(dataset=dict(pipeline=[dict(type=ClipThreeCrop, size=32)]))
    assert views_of_test(cfg) == 3
