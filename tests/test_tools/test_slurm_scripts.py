"""What the Slurm scripts ask of srun, which is played here."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def call(tmp_path, script, *args, **env):
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "PYTHONPATH=$PYTHONPATH" "$@"\n')
    srun.chmod(0o755)
    return subprocess.run(
        ['bash', str(ROOT / 'tools' / script), *args],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={'PATH': f'{tmp_path}:/usr/bin:/bin', **env},
    )


@pytest.mark.parametrize(
    ('script', 'program', 'args'),
    [
        ('slurm_train.sh', 'train.py', ['a config.py']),
        ('slurm_test.sh', 'test.py', ['a config.py', 'epoch_1.pth']),
    ],
)
def test_the_job_is_asked_for_and_arguments_go_on(tmp_path, script, program, args):
    result = call(tmp_path, script, 'gpu', 'mae', *args, '--amp', SRUN_ARGS='--mem 4G', GPUS='4')
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == f'PYTHONPATH={ROOT}'
    asked = ('-p', 'gpu', '--job-name=mae', '--gres=gpu:4', '--ntasks=4', '--mem', '4G')
    assert [line for line in lines if line in asked] == list(asked)
    at = lines.index(str(ROOT / 'tools' / program))
    assert lines[at - 2 : at] == ['python', '-u']
    assert lines[at + 1 :] == [*args, '--launcher', 'slurm', '--amp']


@pytest.mark.parametrize('script', ['slurm_train.sh', 'slurm_test.sh'])
def test_too_few_arguments_show_the_usage(tmp_path, script):
    result = call(tmp_path, script, 'gpu', 'mae')
    assert result.returncode == 2 and 'PARTITION JOB_NAME CONFIG' in result.stderr
