"""The command ``mmmae_st``."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import mmmae_st
from mmmae_st import __main__ as command
from mmmae_st.command_line import short_errors

ROOT = Path(__file__).parents[1]


def test_every_program_of_the_tools_has_a_name():
    programs = {
        str(path.relative_to(ROOT / 'tools'))
        for path in (ROOT / 'tools').rglob('*.py')
        if "if __name__ == '__main__':" in path.read_text() and path.name != '__main__.py'
    }
    assert set(command.PROGRAMS.values()) == programs


def test_help_lists_them_all(call):
    code, out = call('--help')
    assert not code and call()[1] == out
    for name in command.PROGRAMS:
        assert re.search(rf'^  {name} +\S', out, re.MULTILINE), name


def test_version(call):
    assert call('--version')[1] == f'mmmae_st {mmmae_st.__version__}\n'


@pytest.mark.parametrize('unbuffered', ['', '1'])
def test_a_reader_that_has_seen_enough_is_no_error(unbuffered):
    nobody, stdout = os.pipe()
    os.close(nobody)
    command = [sys.executable, '-m', 'mmmae_st', '--help']
    environment = os.environ | dict(PYTHONUNBUFFERED=unbuffered)
    result = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, env=environment)
    os.close(stdout)
    assert result.stderr == b''


def test_a_program_without_output_ends_quietly():
    command = f'{shlex.quote(sys.executable)} -m mmmae_st --version >&-'
    result = subprocess.run(['bash', '-c', command], capture_output=True)
    assert result.returncode == 0 and result.stderr == b''


@pytest.mark.parametrize('name', ['train', 'flops', 'check', 'info'])
def test_a_command_has_its_own_help_and_name(call, name):
    code, out = call(name, '--help')
    assert code == 0
    assert f'usage: mmmae_st {name} [-h]' in ' '.join(out.split())


def test_errors_carry_the_name(call):
    assert call('flops', 'none')[0].startswith('mmmae_st flops: error: config none does not exist')


@pytest.mark.parametrize(
    ('name', 'hint'), [('trian', 'near it are: train'), ('zzz', 'there are: train, test, ')]
)
def test_an_unknown_command_is_one_line(call, name, hint):
    code, _ = call(name)
    assert f"no command is called '{name}'; {hint}" in code and '\n' not in code


def test_the_exit_code_is_that_of_the_program(call, tmp_path, clips):
    sound, broken = tmp_path / 'sound', tmp_path / 'broken'
    for folder in (sound, broken):
        folder.mkdir()
    (sound / 'a.mp4').symlink_to(clips['short'])
    (broken / 'a.mp4').write_bytes(b'nothing')
    for folder, expected in ((sound, 0), (broken, 1)):
        # worker processes look for the functions of the program in __main__
        assert call('check', str(folder), '--out', str(tmp_path / 'bad.txt'))[0] == expected


@pytest.mark.parametrize('gpus', [['--gpus', '3'], ['--gpus=3']])
@pytest.mark.parametrize('name', ['train', 'test'])
def test_several_processes_are_started_as_by_the_script(call, monkeypatch, name, gpus):
    started = []
    monkeypatch.setattr(os, 'execvpe', lambda *args: started.append(args))
    call(name, 'CONFIG', *gpus, '--amp')
    [(_, words, environment)] = started
    assert environment['PYTHON'] == sys.executable
    told = subprocess.run(
        words, env=environment | {'PYTHON': 'echo', 'PORT': '1234'}, capture_output=True, text=True
    ).stdout
    assert told.startswith('-m torch.distributed.run --nnodes=1')
    assert '--master_port=1234 --nproc_per_node=3 ' in told
    assert told.endswith(f'/tools/{name}.py CONFIG --amp --launcher pytorch\n')


@pytest.mark.parametrize('value', [['--gpus'], ['--gpus', 'two'], ['--gpus=0']])
def test_a_number_of_processes_that_is_none(call, value):
    assert '--gpus must be a number of processes, got ' in call('train', 'CONFIG', *value)[0]


@pytest.mark.parametrize(
    'text',
    [
        'CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1.52 GiB free. And much more.',
        'MPS backend out of memory (MPS allocated: 18.13 GiB, max allowed: 18.13 GiB).',
        "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory",
    ],
)
def test_memory_that_is_full_is_told_in_one_line(text):
    match = r'error: .* Take fewer at a time, or'
    with pytest.raises(SystemExit, match=match) as told, short_errors():
        raise RuntimeError(f'{text}\nException raised from ...')
    assert text[:30] in str(told.value) and 'much more' not in str(told.value)
    with pytest.raises(RuntimeError, match='a defect'), short_errors():
        raise RuntimeError('a defect')
