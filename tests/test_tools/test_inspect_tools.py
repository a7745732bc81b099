"""Tools that tell about configs, logs, checkpoints and the machine."""

import json
import re
import shlex
from pathlib import Path

import pytest
import torch
from support.tiny_checkpoint import write_tiny_checkpoint

TOOLS = (
    'analysis_tools/analyze_logs.py',
    'analysis_tools/get_flops.py',
    'analysis_tools/plot_schedules.py',
    'model_converters/export_encoder.py',
    'analysis_tools/print_config.py',
    'model_converters/publish_model.py',
    'visualizations/browse_dataset.py',
    'visualizations/visualize_attention.py',
    'visualizations/visualize_masks.py',
    'visualizations/visualize_reconstruction.py',
)


@pytest.mark.parametrize('path', TOOLS)
def test_help_and_its_examples(tool, path, capsys):
    module = tool(path)
    with pytest.raises(SystemExit) as stop:
        module.parse_args(['--help'])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert module.__doc__.strip() in text
    examples = re.findall(rf'^  {Path(path).name}(.*)$', text, re.MULTILINE)
    assert examples
    for line in examples:
        module.parse_args(shlex.split(line))


def test_config_and_parts_of_it(tool, capsys):
    main = tool('analysis_tools/print_config.py').main
    main(['configs/finetune/vitl_k400.py', '--cfg-options', 'train_dataloader.batch_size=3'])
    text = capsys.readouterr().out
    assert 'batch_size=3' in text and 'LayerDecayOptimWrapperConstructor' in text
    main(
        ['configs/smoke.py', '--json', '--key', 'model.head', 'train_dataloader.dataset.pipeline.0']
    )
    parts = json.loads(capsys.readouterr().out)
    assert parts['model_head']['type'] == 'MAEHead'
    assert parts['train_dataloader_dataset_pipeline_0']['type'] == 'LoadClips'
    with pytest.raises(SystemExit, match=r"there is no 'hed', only \['backbone'"):
        main(['configs/smoke.py', '--key', 'model.hed'])


def test_schedules_without_mmaction2(tool, tmp_path, capsys):
    out = tmp_path / 'schedules.png'
    main = tool('analysis_tools/plot_schedules.py').main
    main(['configs/finetune/vitl_k400.py', 'configs/quickstart.py', '--out', str(out)])
    assert out.stat().st_size > 10_000
    text = capsys.readouterr().out
    assert re.search(r'vitl_k400: .* 0\.0003 at epoch .*; layer 0 at 0\.00075254 of it', text)
    with pytest.raises(SystemExit, match='does not exist'):
        main(['none.py'])


def test_logs(tool, tmp_path, capsys):
    log = tmp_path / 'run' / 'time' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    rows = [dict(step=i, iter=i, epoch=1, loss=1 / i, time=1.0, data_time=0.1) for i in range(1, 9)]
    log.write_text('\n'.join(map(json.dumps, rows)))
    out = str(tmp_path / 'curves.png')
    main = tool('analysis_tools/analyze_logs.py').main
    main([str(tmp_path / 'run'), '--out', out])
    assert 'data share' in capsys.readouterr().out
    main([str(tmp_path / 'run'), str(log), '--names', 'a', 'b', '--json', '--out', out])
    assert json.loads(capsys.readouterr().out)['b']['steps'] == 8
    with pytest.raises(SystemExit, match='1 --names were given for 2 runs'):
        main([str(log), str(log), '--names', 'a', '--out', out])
    with pytest.raises(SystemExit, match='does not exist'):
        main(['nowhere'])


def test_publish_and_export(tool, tmp_path, capsys):
    write_tiny_checkpoint(tmp_path / 'a.pth')
    tool('model_converters/publish_model.py').main([str(tmp_path / 'a.pth'), str(tmp_path / 'out')])
    found = re.findall(r'(\S+)  .*\nsha256 (\w{64})', capsys.readouterr().out)
    assert [Path(path).suffix for path, _ in found] == ['.pth', '.safetensors']
    export = tool('model_converters/export_encoder.py').main
    export([found[1][0], str(tmp_path / 'e.pt2'), '--shape', '8', '32', '48'])
    assert re.search(r'e\.pt2: outputs agree to', capsys.readouterr().out)
    with pytest.raises(SystemExit, match=r'must end in one of'):
        export([found[1][0], str(tmp_path / 'e.bin')])
    with pytest.raises(SystemExit, match='does not exist'):
        tool('model_converters/publish_model.py').main(['none.pth', 'out'])


class Evil:
    def __reduce__(self):
        return open, ('pwned', 'w')


@pytest.mark.parametrize(
    ('path', 'args'),
    [
        ('model_converters/publish_model.py', ['{file}', 'out']),
        ('model_converters/export_encoder.py', ['{file}', 'out.pt2']),
        ('visualizations/visualize_reconstruction.py', ['{file}', 'a.mp4']),
        ('visualizations/visualize_attention.py', ['{file}', 'a.mp4']),
    ],
)
def test_no_tool_runs_what_a_checkpoint_holds(tool, tmp_path, monkeypatch, path, args):
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict={'a': torch.zeros(1)}, meta=Evil()), tmp_path / 'evil.pth')
    with pytest.raises(SystemExit, match='was refused'):
        tool(path).main([arg.format(file=tmp_path / 'evil.pth') for arg in args])
    assert not (tmp_path / 'pwned').exists()
