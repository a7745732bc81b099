"""tools/analysis_tools/plan_run.py: what it measures, takes from files, and does not know."""

import json
import re
import shlex
import shutil

import pytest
import torch

CONFIG = 'configs/smoke.py'


@pytest.fixture
def plan(tool):
    return tool('analysis_tools/plan_run.py')


@pytest.fixture
def files(tmp_path):
    """Figures of both benchmarks: 100 clips/s of a device, 20 of each of two workers."""
    rows = dict(ours=dict(clips_per_second=40), prepared=dict(clips_per_second=160))
    (tmp_path / 'step.json').write_text(
        json.dumps(dict(models=dict(ours=dict(clips_per_second=100))))
    )
    (tmp_path / 'loader.json').write_text(json.dumps(dict(workers=2, loaders=rows)))
    return ['--step', str(tmp_path / 'step.json'), '--loader', str(tmp_path / 'loader.json')]


def test_examples(plan):
    examples = re.findall(r'^  plan_run\.py(.*)$', plan.__doc__, re.MULTILINE)
    assert len(examples) == 3
    for line in examples:
        plan.parse_args(shlex.split(line))


def test_figures_of_other_machines(plan, files, capsys):
    plan.main([CONFIG, '--gpus', '2', '--cores', '4', '--num-videos', '900', *files])
    told = capsys.readouterr().out
    assert '2 devices ask for 200 clips/s' in told and '4 cores give 80 clips/s' in told
    assert 'the run has 3,600 clips and takes 0.0125 h' in told  # 2 epochs, 2 clips a video
    assert 'the devices wait 60% of the time' in told
    assert 'prepared videos, as in' in told and '4.0 times the clips of a core, 0.005 h' in told


def test_what_is_measured_here(plan, clips, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    for name in ('plain', 'b_frames'):
        shutil.copy(clips[name], tmp_path)
    plan.main([CONFIG, '--cores', '2', '--data', str(tmp_path), '--tried', '1'])
    told = capsys.readouterr().out
    assert re.search(r'2 cores give \S+ clips/s', told) and 'the run has 8 clips' in told
    assert 'ask for an unknown rate' in told and 'no GPU here: give --step FILE' in told
    assert 'mend: prepare at 15 frames/s and 48 pixels' in told


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['nothing.py'], 'does not exist'),
        (['configs/_base_/default_runtime.py'], 'has no train_dataloader'),
        ([CONFIG, '--data', 'nowhere'], 'nowhere'),
    ],
)
def test_errors_are_one_line(plan, args, message):
    with pytest.raises(SystemExit, match=message):
        plan.main(args)
