"""What is installed: the wheel, the editable install, the checks of versions, the pinned files."""

import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import mmmae_st
from mmmae_st.compat.versions import MMCV_RANGE, RULES, check_versions

ROOT = Path(__file__).parents[1]
CONFIG = 'mae_st_vitl_k400.py'
GET_CONFIG = f"""
import sys
{{first}}
from mmengine.hub import get_config
cfg = get_config('mmmae_st::{CONFIG}')
assert cfg.model.type == 'SpatiotemporalMAE', cfg.model
import mmmae_st
print(mmmae_st.__file__)
"""


def run_python(python, code, cwd):
    result = subprocess.run(
        [str(python), '-c', code], capture_output=True, text=True, cwd=cwd, env={'PATH': '/usr/bin'}
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def build(hook, source, out):
    """Build by the standard interface, without network; returns the file."""
    out.mkdir(exist_ok=True)
    code = f'from setuptools import build_meta; print(build_meta.{hook}({str(out)!r}))'
    return out / run_python(sys.executable, code, source).splitlines()[-1]


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """A copy of what the wheel is built from, so that the checkout stays clean."""
    folder = tmp_path_factory.mktemp('source')
    for path in ROOT.iterdir():
        if path.name in ('mmmae_st', 'configs', 'tools', 'requirements'):
            ignore = shutil.ignore_patterns('__pycache__')
            shutil.copytree(path, folder / path.name, symlinks=True, ignore=ignore)
        elif path.is_file():
            shutil.copy(path, folder)
    return folder


@pytest.fixture(scope='module')
def wheel(source, tmp_path_factory):
    return build('build_wheel', source, tmp_path_factory.mktemp('wheel'))


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory):
    """Python of an environment that has the wheel, and our packages but not the checkout."""
    folder = tmp_path_factory.mktemp('venv')
    venv.create(folder, with_pip=False)
    site = folder / 'lib' / f'python{sysconfig.get_python_version()}' / 'site-packages'
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / 'others.pth').write_text(sysconfig.get_path('purelib') + '\n')
    return folder / 'bin' / 'python', site


def test_the_wheel_holds_package_configs_tools_and_index(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        'mmmae_st/__init__.py',
        'mmmae_st/datasets/transforms/masking.py',
        f'mmmae_st/.mim/configs/{CONFIG}',
        'mmmae_st/.mim/configs/_base_/default_runtime.py',
        'mmmae_st/.mim/tools/train.py',
        'mmmae_st/.mim/tools/dist_train.sh',
        'mmmae_st/.mim/model-index.yml',
    ):
        assert name in names
    assert not [name for name in names if name.startswith('tests') or '__pycache__' in name]
    configs = {str(p.relative_to(ROOT)) for p in (ROOT / 'configs').rglob('*.py')}
    assert configs == {n[14:] for n in names if re.match(r'mmmae_st/\.mim/configs/.*\.py$', n)}


def test_the_wheel_has_the_version_and_requirements_of_the_source(wheel):
    assert wheel.name == f'mmmae_st-{mmmae_st.__version__}-py3-none-any.whl'
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith('METADATA'))
        metadata = archive.read(name).decode()
    needs = [Requirement(x) for x in re.findall(r'^Requires-Dist: (.*)$', metadata, re.MULTILINE)]
    plain = {need.name: str(need.specifier) for need in needs if 'extra' not in str(need.marker)}
    assert 'mmcv' not in plain and 'mmcv-lite' not in plain
    for rule in RULES:
        assert set(plain[rule.package].split(',')) == set(rule.accepted.split(','))
    extras = set(re.findall(r'^Provides-Extra: (.*)$', metadata, re.MULTILINE))
    assert extras == {'lite', 'finetune', 'detection', 'export', 'tests'}
    assert re.search(r'^Requires-Python: >=3.10$', metadata, re.MULTILINE)


@pytest.mark.parametrize('first', ['', 'import mmmae_st', 'import mmengine', 'import mmengine.hub'])
def test_get_config_works_from_an_installed_wheel(installed, tmp_path, first):
    python, site = installed
    assert run_python(python, GET_CONFIG.format(first=first), tmp_path).startswith(str(site))


def test_a_config_elsewhere_can_have_one_of_ours_as_base(installed, tmp_path):
    (tmp_path / 'mine.py').write_text(f"_base_ = 'mmmae_st::{CONFIG}'\ntrain_dataloader = dict()\n")
    code = (
        "from mmengine import Config; c = Config.fromfile('mine.py'); print(c.model.backbone.type)"
    )
    assert run_python(installed[0], code, tmp_path) == 'SpacetimeViT'


def test_names_of_other_packages_are_left_to_mmengine(installed, tmp_path):
    code = """
from mmengine.config.utils import _get_package_and_cfg_path as split
from mmengine.utils import get_installed_path
assert split('mmdet::a/b.py') == ('mmdet', 'a/b.py')
assert get_installed_path('mmengine').endswith('mmengine')
for name in ('mmmae_st::', 'mmmae_st::a::b/c', 'b.py'):
    try:
        split(name)
    except (ValueError, AssertionError):
        continue
    raise SystemExit(name)
"""
    run_python(installed[0], code, tmp_path)


def test_start_up_of_python_imports_nothing_of_ours_but_the_hook(installed, tmp_path):
    code = "import sys; print(sorted(m for m in sys.modules if 'mm' in m or m == 'torch'))"
    assert run_python(installed[0], code, tmp_path) == "['_mmmae_st_hub']"


def test_get_config_works_from_the_checkout(tmp_path):
    code = f'import sys; sys.path.insert(0, {str(ROOT)!r})' + GET_CONFIG.format(
        first='import mmmae_st'
    )
    assert run_python(sys.executable, code, tmp_path).startswith(str(ROOT))


def test_get_config_works_from_an_editable_install(source, tmp_path):
    editable = build('build_editable', source, tmp_path / 'wheel')
    venv.create(tmp_path / 'venv', with_pip=False)
    site = next((tmp_path / 'venv' / 'lib').glob('python*/site-packages'))
    with zipfile.ZipFile(editable) as archive:
        archive.extractall(site)
    (site / 'others.pth').write_text(sysconfig.get_path('purelib') + '\n')
    code = GET_CONFIG.format(first='import mmmae_st')
    python = tmp_path / 'venv' / 'bin' / 'python'
    assert run_python(python, code, tmp_path).startswith(str(source))


def test_a_wheel_built_from_the_source_archive_is_the_same(source, wheel, tmp_path):
    archive = build('build_sdist', source, tmp_path / 'sdist')
    subprocess.run(['tar', '-xzf', str(archive), '-C', str(tmp_path)], check=True)
    unpacked = tmp_path / archive.name.removesuffix('.tar.gz')
    again = build('build_wheel', unpacked, tmp_path / 'wheel')
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


GOOD = {
    'mmcv-lite': '2.1.0',
    'mmengine': '0.10.7',
    'torch': '2.11.0+cu130',
    'setuptools': '80.10.2',
}


def without(name):
    return {key: value for key, value in GOOD.items() if key != name}


def test_versions_that_fit_pass_without_a_word(recwarn):
    check_versions(GOOD)
    check_versions({**without('mmcv-lite'), 'mmcv': '2.0.0rc4'})
    assert not recwarn.list


@pytest.mark.parametrize(
    ('installed', 'parts'),
    [
        (
            {**GOOD, 'mmcv': '2.1.0'},
            ['mmcv 2.1.0 and mmcv-lite 2.1.0', MMCV_RANGE, 'pip uninstall -y mmcv mmcv-lite && '],
        ),
        (
            {**without('mmcv-lite'), 'mmcv': '2.2.0'},
            ['mmcv 2.2.0', MMCV_RANGE, 'pip uninstall -y mmcv && pip install "mmcv-lite'],
        ),
        ({**GOOD, 'mmcv-lite': '2.2.0'}, ['mmcv-lite 2.2.0', MMCV_RANGE]),
        ({**without('mmcv-lite'), 'mmcv': '1.7.2'}, ['mmcv 1.7.2', MMCV_RANGE]),
        ({**without('mmcv-lite'), 'mmcv-full': '1.7.2'}, ['mmcv-full 1.7.2', 'pip uninstall']),
        (without('mmcv-lite'), ['neither mmcv nor mmcv-lite', 'pip install "mmcv-lite']),
        ({**GOOD, 'mmengine': '0.9.1'}, ['mmengine 0.9.1', '>=0.10.4,<1.0', 'pip install "mmeng']),
        (without('mmengine'), ['mmengine is not installed', 'pip install "mmengine>=0.10.4']),
        ({**GOOD, 'torch': '1.13.1'}, ['torch 1.13.1', '>=2.4', 'pip install "torch>=2.4"']),
    ],
)
def test_versions_that_do_not_fit_stop_with_what_to_do(installed, parts):
    with pytest.raises(ImportError) as error:
        check_versions(installed)
    message = str(error.value)
    assert '\n' not in message
    for part in parts:
        assert part in message


def test_all_that_does_not_fit_is_in_one_message():
    with pytest.raises(ImportError, match='(?s)mmcv 2.2.0.*\n.*torch 1.0.*\n.*mmengine 0.9'):
        check_versions({'mmcv': '2.2.0', 'torch': '1.0', 'mmengine': '0.9', 'setuptools': '80'})


def test_lesser_trouble_is_a_warning():
    with pytest.warns(UserWarning, match='setuptools 82.0 is installed.*<81.*pkg_resources'):
        check_versions({**GOOD, 'setuptools': '82.0'})


def test_import_is_stopped_before_anything_heavy(tmp_path):
    for name, number in (('mmcv', '2.2.0'), ('mmcv_lite', '2.2.0')):
        folder = tmp_path / f'{name}-{number}.dist-info'
        folder.mkdir()
        (folder / 'METADATA').write_text(
            f'Metadata-Version: 2.1\nName: {name.replace("_", "-")}\nVersion: {number}\n'
        )
    code = f"""
import sys, time
sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]
try:
    import mmmae_st
except ImportError as error:
    print(error)
assert 'torch' not in sys.modules and 'mmengine' not in sys.modules
"""
    assert 'mmcv 2.2.0 and mmcv-lite 2.2.0' in run_python(sys.executable, code, tmp_path)


@pytest.mark.parametrize('name', ['core', 'tests'])
def test_pinned_files_are_exact_and_within_the_ranges(name):
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith('#')]
    assert len(pins) > 50
    assert not any('://' in line or '--' in line for line in lines)
    for pin in pins:
        assert [spec.operator for spec in pin.specifier] == ['==']
    ranges = {'mmcv-lite': MMCV_RANGE} | {rule.package: rule.accepted for rule in RULES}
    for pin in pins:
        if pin.name in ranges:
            need = Requirement(pin.name + ranges[pin.name])
            assert need.specifier.contains(next(iter(pin.specifier)).version)
    wanted = ['torch', 'mmengine', 'av'] + (['mmcv-lite'] if name == 'core' else ['mmdet'])
    assert set(wanted) <= {pin.name for pin in pins}
    assert name == 'core' or 'mmcv-lite' not in {pin.name for pin in pins}


def test_ci_runs_the_command_that_people_run():
    script = (ROOT / '.ci' / 'run').read_text().splitlines()
    assert [line for line in script if not line.startswith('#')] == [
        'exec "$(dirname "${BASH_SOURCE[0]}")/../tools/run_tests.sh"'
    ]
