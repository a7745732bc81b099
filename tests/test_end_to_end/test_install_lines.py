"""Every line of the docs that installs the package, in an empty environment, by pip and by uv.

Long, and in need of a package index: only with TRY_INSTALLS=1. The lines that compile mmcv are not
tried here, tools/run_tests.sh compiles it.
"""

import os
import re
import shutil
import subprocess
import sys

import pytest
from support.source import ROOT, copy_source

PAGES = [ROOT / 'README.md', *(ROOT / 'docs').glob('*.md'), *ROOT.glob('configs/*/README.md')]
EXTRAS = sorted({x for p in PAGES for x in re.findall(r'pip install "\.\[(.*?)\]"', p.read_text())})
UV = shutil.which('uv') or str(ROOT / '.uv' / 'bin' / 'uv')

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif('TRY_INSTALLS' not in os.environ, reason='installs gigabytes'),
]


@pytest.fixture
def environment(tmp_path):
    """An empty environment with pip, removed at the end: it holds gigabytes."""
    folder = tmp_path / 'venv'
    subprocess.run([sys.executable, '-m', 'venv', folder], check=True)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize('installer', ['pip', 'uv'])
@pytest.mark.parametrize('extras', EXTRAS)
def test_an_install_line_brings_what_it_says(environment, tmp_path, extras, installer):
    python = environment / 'bin' / 'python'
    env = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    command = {
        'pip': [python, '-m', 'pip', 'install'],
        'uv': [UV, 'pip', 'install', '--python', python],
    }[installer]
    (tmp_path / 'checkout').mkdir()
    source = copy_source(tmp_path / 'checkout')  # settings of pyproject.toml apply
    done = subprocess.run(
        [*command, f'.[{extras}]'], cwd=source, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr

    wanted = {'finetune': 'recognition'}
    required = [wanted[x] for x in extras.split(',') if x in wanted]
    script = [python, ROOT / 'tools' / 'verify_install.py']
    script += ['--require', *required] if required else []
    done = subprocess.run(script, cwd=tmp_path, env=env, capture_output=True, text=True)
    if 'lite' in extras:
        assert done.returncode == 0, done.stdout
        return
    # Nothing works without mmcv, and each part says so with the command.
    parts = re.split(r'^(?=ok|none|BROKEN)', done.stdout, flags=re.MULTILINE)
    broken = [part for part in parts if part.startswith('BROKEN')]
    assert broken and all('neither mmcv nor mmcv-lite' in part for part in broken), done.stdout
    assert all('pip install "mmcv-lite' in part for part in broken), done.stdout
