"""The figures of the step benchmark agree with each other; no time is judged."""

import json
import sys
from types import SimpleNamespace

import pytest
import torch
from support.tiny_checkpoint import tiny_config

NAMES = ['ours', 'dense', 'half predicted', 'reference']


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'tiny.py'
    cfg = tiny_config()
    cfg.optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3))
    cfg.model.backbone.drop_path_rate = 0.0
    cfg.dump(path)
    return str(path)


@pytest.fixture
def benchmark(tool):
    return tool('analysis_tools/benchmark_step.py').main


def test_all_variants(benchmark, config, tmp_path, capsys):
    out = tmp_path / 'figures.json'
    variants = ['--dense', '--decoder-masking', '--reference']
    run = ['--batch', '2', '--runs', '2', '--warmup', '1', '--device', 'cpu', '--budget-gib', '1']
    benchmark([config, *run, *variants, '--profile', '--out', str(out)])
    text = capsys.readouterr().out
    assert 'largest batch in 1 GiB' in text and 'aten::' in text

    figures = json.loads(out.read_text())
    models = figures['models']
    assert list(models) == NAMES and figures['memory']['largest_batch'] > 0
    assert models['reference']['loss'] == pytest.approx(models['ours']['loss'], abs=1e-5)
    assert models['dense']['gmacs_per_clip'] > models['ours']['gmacs_per_clip']
    assert models['half predicted']['gmacs_per_clip'] < models['ours']['gmacs_per_clip']
    kept = {name: row['kept_mib_per_clip'] for name, row in models.items()}
    assert kept['half predicted'] < kept['ours'] < kept['dense']
    assert kept['ours'] < kept['reference'] < 10 * kept['ours']
    for row in models.values():
        low, high = row['fastest_slowest']
        assert 0 < low <= row['seconds_per_clip'] <= high
        assert row['clips_per_second'] * row['seconds_per_clip'] == pytest.approx(1)
        rate = row['gmacs_per_clip'] * row['clips_per_second']
        assert row['gmacs_per_second'] == pytest.approx(rate)
        share = rate / figures['ceiling_gmacs_per_second']
        assert row['share_of_ceiling'] == pytest.approx(share)
        ratio = row['seconds_per_clip'] / models['ours']['seconds_per_clip']
        assert row['time_over_ours'] == pytest.approx(ratio)


class FakeVideoMAE(torch.nn.Module):
    """Stands for the model of transformers, which is not among the tests' packages."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, pixel_values, bool_masked_pos):
        c = self.config
        assert pixel_values.shape[1:] == (c.num_frames, 3, c.image_size, c.image_size)
        grid = c.num_frames // c.tubelet_size, c.image_size // c.patch_size
        assert bool_masked_pos.shape == (len(pixel_values), grid[0] * grid[1] ** 2)
        assert (bool_masked_pos.float().mean(dim=1) == 0.75).all()
        return SimpleNamespace(loss=(self.scale * pixel_values).square().mean())


def test_transformers_get_the_same_sizes_and_masks(
    benchmark, config, tmp_path, monkeypatch, capsys
):
    transformers = SimpleNamespace(
        VideoMAEConfig=SimpleNamespace, VideoMAEForPreTraining=FakeVideoMAE
    )
    monkeypatch.setitem(sys.modules, 'transformers', transformers)
    run = ['--batch', '2', '--runs', '1', '--warmup', '0', '--device', 'cpu', '--huggingface']
    out = tmp_path / 'figures.json'
    benchmark([config, *run, '--out', str(out)])
    assert list(json.loads(out.read_text())['models']) == ['ours', 'huggingface']
    monkeypatch.setitem(sys.modules, 'transformers', None)
    with pytest.raises(SystemExit, match='pip install transformers'):
        benchmark([config, *run])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--cfg-options', 'model.head.target=hog'], 'pixel targets'),
        (['--cfg-options', 'model.backbone.drop_path_rate=0.1'], 'drop_path_rate=0'),
    ],
)
def test_what_the_reference_does_not_know(benchmark, config, options, message):
    with pytest.raises(SystemExit, match=message):
        benchmark([config, '--device', 'cpu', '--reference', *options])


def test_bad_arguments(benchmark, config, capsys):
    with pytest.raises(SystemExit):
        benchmark([config, '--batch', '0'])
    assert '--batch: must be at least 1, got 0' in capsys.readouterr().err
