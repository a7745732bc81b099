"""Nothing in the package or the tools runs what it reads."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ('mmmae_st', 'tools', 'projects', 'demo')
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob('*.py'))
FORBIDDEN = {
    'eval', 'exec', 'compile', '__import__', 'execfile',
    'os.system', 'os.popen', 'subprocess.getoutput', 'subprocess.getstatusoutput',
    'pickle.load', 'pickle.loads', 'pickle.Unpickler', 'dill.load', 'dill.loads', 'joblib.load',
    'marshal.load', 'marshal.loads', 'shelve.open', 'yaml.load', 'yaml.unsafe_load',
    'jsonpickle.decode', 'tarfile.extractall',
}  # fmt: skip
# The one place that may load what runs code: files the user has named as trusted.
TRUSTED = {('mmmae_st/fileio/safe_loading.py', 'torch.load')}


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f'{dotted(node.value)}.{node.attr}'
    return node.id if isinstance(node, ast.Name) else ''


def problems(source: str) -> list[str]:
    """Calls that run their input, with their line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}

        def is_true(key: str, keywords: dict[str | None, ast.expr] = keywords) -> bool:
            value = keywords.get(key)
            return isinstance(value, ast.Constant) and value.value is True

        if name in FORBIDDEN or name.endswith('.extractall'):
            found.append(f'{name} in line {node.lineno}')
        elif 'shell' in keywords and not (
            isinstance(keywords['shell'], ast.Constant) and keywords['shell'].value is False
        ):
            found.append(f'{name}(shell=...) in line {node.lineno}')
        elif name == 'torch.load' and not is_true('weights_only'):
            found.append(f'torch.load in line {node.lineno}')
        elif name in ('np.load', 'numpy.load') and is_true('allow_pickle'):
            found.append(f'{name} in line {node.lineno}')
    return found


@pytest.mark.parametrize(
    'source',
    [
        'eval(x)', 'exec(open(f).read())', 'subprocess.run(c, shell=True)', 'os.system(c)',
        'torch.load(f)', 'torch.load(f, weights_only=False)', 'pickle.load(f)',
        'np.load(f, allow_pickle=True)', 'archive.extractall(d)', 'subprocess.run(c, shell=flag)',
    ],
)  # fmt: skip
def test_the_scan_finds(source):
    assert problems(source)


def test_the_scan_lets_pass():
    assert not problems("model.eval(); torch.load(f, weights_only=True); subprocess.run(['ls'])")


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_runs_its_input(path):
    name = str(path.relative_to(ROOT))
    found = [
        problem
        for problem in problems(path.read_text())
        if (name, problem.split()[0]) not in TRUSTED
    ]
    assert not found, f'{name}: {found}'
