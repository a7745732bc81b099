"""Set-up as of tools/quickstart.sh, and the smoke config, on each Python that is found here.

Long, and in need of a package index, or of uv's cache: ``-m long``.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.source import copy_source

SET_UP = 'set -Eeuo pipefail; source tools/environment.sh; provide_core_environment'

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


def interpreter(version):
    """Path of a Python of this version that starts; None where there is none."""
    found = [shutil.which(f'python{version}')]
    found += Path.home().glob(f'.pyenv/versions/{version}*/bin/python')
    found += Path.home().glob(f'.local/share/uv/python/cpython-{version}*/bin/python')
    for path in filter(None, found):  # a shim of pyenv may start none
        if subprocess.run([path, '-c', ''], capture_output=True).returncode == 0:
            return str(path)
    return None


@pytest.mark.parametrize('version', ['3.10', '3.11', '3.12', '3.13', '3.14'])
def test_set_up_and_smoke_run(version, tmp_path):
    python = interpreter(version)
    if python is None:
        pytest.skip(f'there is no Python {version}')
    source = copy_source(tmp_path)
    env = {
        key: value for key, value in os.environ.items() if key not in ('PYTHONPATH', 'VIRTUAL_ENV')
    }
    env['PYTHON'] = python

    def run(*command):
        done = subprocess.run(command, cwd=source, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout

    try:
        assert f'Python {version}.' in run('bash', '-c', SET_UP)
        program = [str(source / '.venv' / 'bin' / 'python'), '-m', 'mmmae_st']
        for number, name in enumerate(('train', 'val')):
            clips = ['--num-clips', '4', '--seed', str(number), '--workers', '1']
            run(*program, 'make-clips', f'data/quickstart/{name}', *clips)
        run(*program, 'train', 'smoke')
        checkpoint = source / 'work_dirs' / 'smoke' / 'epoch_2.pth'
        assert checkpoint.exists()
        videos = 'data/quickstart/val'
        assert '(4, 32)' in run(*program, 'features', str(checkpoint), videos, '--workers', '2')
    finally:
        shutil.rmtree(source / '.venv', ignore_errors=True)  # gigabytes
