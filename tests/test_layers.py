"""Who imports whom: a layer only what is below it, nothing a test, no import more than needed.

The layers are those of ``[tool.importlinter]`` in pyproject.toml.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {'matplotlib', 'mmaction', 'mmdet', 'decord', 'torchcodec', 'skimage', 'tensorboard'}


def test_layers_and_circles():
    pytest.importorskip('importlinter')
    program = Path(sys.executable).with_name('lint-imports')
    result = subprocess.run([program, '--no-cache'], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


# What takes seconds in each import is imported once, then a process is forked for each module.
IMPORTS = """
import importlib, os, sys
import mmmae_st
print('mmmae_st', *sys.modules, flush=True)
import mmengine.runner, timm, torchvision
for module in sys.argv[1:]:
    if os.fork() == 0:
        importlib.import_module(module)
        print(module, *sys.modules, flush=True)
        os._exit(0)
    os.wait()
"""
LOW = {'compat', 'version', 'registry', 'patching', 'fileio', 'uncut_clips'}
ALLOWED = {
    'mmmae_st': {'compat', 'version'},
    'mmmae_st.datasets': LOW | {'datasets'},
    'mmmae_st.models': LOW | {'models'},
    'mmmae_st.engine': None,
    'mmmae_st.evaluation': None,
}


def test_an_import_brings_only_what_is_below():
    result = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', IMPORTS, *list(ALLOWED)[1:]],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert result.returncode == 0, result.stderr
    found = [line.split() for line in result.stdout.splitlines()]
    assert [line[0] for line in found] == list(ALLOWED), result.stderr
    for module, *loaded in found:
        names = [name.split('.') for name in loaded]
        packages, layers = {name[0] for name in names}, ALLOWED[module]
        assert not {'mmaction', 'mmdet'} & packages, module
        if layers is not None:
            ours = {name[1] for name in names if name[0] == 'mmmae_st' and len(name) > 1}
            assert ours <= layers, module
            assert not HEAVY & packages, module


def test_the_picture_of_the_layers_can_be_made_again(tmp_path):
    pytest.importorskip('grimp')
    picture, program = tmp_path / 'layers.png', ROOT / 'docs' / 'draw_architecture.py'
    command = [sys.executable, program, '--out', picture]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert picture.read_bytes()[:4] == b'\x89PNG'
    assert int(said.split(': ')[1].split()[0]) >= 14  # rooms


def imported(path):
    """First parts of the modules that a file imports, and of those it gets relatively ('.')."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split('.')[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield '.' if node.level else node.module.split('.')[0]


def test_nothing_imports_a_test():
    tests = {path.stem for path in (ROOT / 'tests').rglob('test_*.py')}
    for folder in ('mmmae_st', 'tools', 'projects', 'demo', 'tests'):
        for path in (ROOT / folder).rglob('*.py'):
            used = set(imported(path))
            assert not used & tests, path
            assert folder == 'tests' or not used & {'tests', 'support'}, path
