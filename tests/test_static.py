"""What ruff and mypy say of the code: nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # mypy, where it has no cache

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize('command', ['ruff check', 'ruff format --check', 'mypy'])
def test_there_is_nothing_to_complain_of(command):
    pytest.importorskip(command.split()[0])
    result = subprocess.run(
        [sys.executable, '-m', *command.split()], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 0, result.stdout + result.stderr
