"""What works on this machine: each outcome of a check, and that a mend is named for each."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]


@pytest.fixture
def verify(tool, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    return tool('verify_install.py')


def play(function, monkeypatch):
    """Let the check of recognition be this function."""
    checks = sys.modules['installation_checks'].CHECKS
    monkeypatch.setitem(checks, 'recognition', function)


def test_installation_is_tried_out():
    # In a process of its own: PyTorch's gradients do not survive a fork once there were some.
    command = [
        sys.executable,
        'tools/verify_install.py',
        '--only',
        'core',
        'decoders',
        'distributed',
    ]
    env = dict(os.environ, PYTHONPATH=str(ROOT))
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    text = done.stdout
    assert re.search(r'^ok +core +mmmae_st \d', text, re.MULTILINE)
    assert re.search(r'^ok +decoders +av \d', text, re.MULTILINE)
    assert re.search(r'^ok +distributed +2 processes over', text, re.MULTILINE)
    assert text.endswith('all that is needed works\n')


def raising(error):
    def check():
        raise error

    return check


@pytest.mark.parametrize(
    ('check', 'shown', 'mend'),
    [
        (raising(RuntimeError('two\nlines')), 'RuntimeError: two', 'requirements/core.txt'),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), 'ended by signal 9', 'requirements/'),
        (raising(ImportError("No module named 'mmmae_st'")), 'mmmae_st', 'pip install -e '),
        (raising(ImportError("No module named 'cv2'")), 'cv2', 'opencv-python-headless'),
        (
            raising(ImportError('libGL.so.1: cannot open shared object file')),
            'libGL',
            'pip uninstall -y opencv-python opencv-contrib-python',
        ),
        (raising(ModuleNotFoundError("No module named 'einops'")), 'einops', 'pip install ".[lite'),
        (raising(ImportError('torch is old: pip install "torch>=2.4"')), 'torch is old', 'torch>='),
    ],
)
def test_each_line_of_what_is_broken_names_a_mend(verify, capsys, monkeypatch, check, shown, mend):
    play(check, monkeypatch)
    assert verify.main(['--only', 'recognition']) == 1
    text = capsys.readouterr().out
    assert re.match('BROKEN +recognition +', text) and shown in text
    assert mend in text
    assert text.endswith('does not work: recognition\n')


def test_what_importing_the_package_says_is_passed_on(verify, capsys, monkeypatch):
    """Of versions that do not fit, although a part of the package has been imported before."""
    import_module = verify.import_module

    def refuse(name):
        if name == 'mmmae_st':
            raise ImportError('neither mmcv nor mmcv-lite: pip install "mmcv-lite"')
        return import_module(name)

    monkeypatch.setattr(verify, 'import_module', refuse)
    assert verify.main(['--only', 'core', 'distributed']) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith('BROKEN  core         ImportError: neither mmcv nor mmcv-lite')
    assert lines[-1] == 'does not work: core, distributed'


def test_what_a_check_prints_is_not_shown(verify, capfd, monkeypatch):
    def noisy():
        os.system('echo noise; echo noise >&2')
        return 'fine'

    play(noisy, monkeypatch)
    assert verify.main(['--only', 'recognition']) == 0
    shown = capfd.readouterr()
    assert shown.out.startswith('ok      recognition  fine\n')
    assert 'noise' not in shown.out + shown.err


def test_no_answer_is_an_answer(verify, capsys, monkeypatch):
    play(signal.pause, monkeypatch)
    monkeypatch.setattr(verify, 'TIMEOUT', 0.5)
    assert verify.main(['--only', 'recognition']) == 1
    assert 'no answer within 0.5 seconds' in capsys.readouterr().out


def test_parts_that_are_not_installed_are_told(verify, capsys, monkeypatch):
    checks = sys.modules['installation_checks']
    monkeypatch.setattr(checks, 'find_spec', lambda name: None)
    assert verify.main(['--only', 'recognition', 'detection']) == 0
    text = capsys.readouterr().out
    assert re.search(r'none +recognition +mmaction2 is not installed\n +pip install', text)
    assert re.search(r'none +detection +mmaction2 is not installed\n +pip install', text)
    assert verify.main(['--only', 'core', '--require', 'recognition']) == 1
    if not torch.cuda.is_available():
        with pytest.raises(checks.NotInstalledError, match='GPU|built for the CPU'):
            checks.check_gpu()


def test_help_names_the_parts_and_its_examples_are_understood(verify, capsys):
    with pytest.raises(SystemExit):
        verify.main(['--help'])
    text = capsys.readouterr().out
    examples = re.findall(r'^  verify_install.py(.*)$', text, re.MULTILINE)
    assert len(examples) == 3
    for example in examples:
        verify.parse_args(example.split())
