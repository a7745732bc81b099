"""What is installed: the wheel, the editable install, the pinned files."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from support.source import copy_source

import mmmae_st
from mmmae_st.compat.versions import MMCV_RANGE, RULES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
CONFIG = 'mae_st_vitl_k400.py'
GET_CONFIG = f"""
import mmmae_st
from mmengine.hub import get_config
cfg = get_config('mmmae_st::{CONFIG}')
assert cfg.model.type == 'SpatiotemporalMAE', cfg.model
print(mmmae_st.__file__)
"""


def call_python(python, *args, cwd):
    bytecode = {key: os.environ[key] for key in os.environ if key == 'PYTHONPYCACHEPREFIX'}
    return subprocess.run(
        [str(python), *map(str, args)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={'PATH': '/usr/bin', **bytecode},
    )


def run_python(python, code, cwd):
    result = call_python(python, '-c', code, cwd=cwd)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def build(hook, source, out):
    """Build by the standard interface, without network; returns the file."""
    out.mkdir(exist_ok=True)
    code = f'from setuptools import build_meta; print(build_meta.{hook}({str(out)!r}))'
    return out / run_python(sys.executable, code, source).splitlines()[-1]


def install(wheel, folder):
    """Python and packages of an environment that has the wheel, and our packages besides."""
    venv.create(folder, with_pip=False)
    site = folder / 'lib' / f'python{sysconfig.get_python_version()}' / 'site-packages'
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / 'others.pth').write_text(sysconfig.get_path('purelib') + '\n')
    return folder / 'bin' / 'python', site


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    return copy_source(tmp_path_factory.mktemp('source'))


@pytest.fixture(scope='module')
def wheel(source, tmp_path_factory):
    return build('build_wheel', source, tmp_path_factory.mktemp('wheel'))


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory):
    return install(wheel, tmp_path_factory.mktemp('venv'))


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split('/')[0].split('-')[0] for name in names} == {'mmmae_st'}
    assert not [name for name in names if '__pycache__' in name or 'reference' in name]
    tools = 'mmmae_st/.mim/tools'
    assert {f'{tools}/train.py', f'{tools}/dist_train.sh', 'mmmae_st/.mim/model-index.yml'} <= names
    configs = {f'mmmae_st/.mim/{p.relative_to(ROOT)}' for p in (ROOT / 'configs').rglob('*.py')}
    modules = {str(p.relative_to(ROOT)) for p in (ROOT / 'mmmae_st').rglob('*.py')}
    python = {name for name in names if name.endswith('.py')}
    assert {name for name in python if not name.startswith(tools)} == configs | modules


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
    assert extras == {
        *('lite', 'finetune', 'detection', 'export', 'transformers', 'decord'),
        *('docs', 'tests'),
    }
    assert re.search(r'^Requires-Python: >=3.10$', metadata, re.MULTILINE)


@pytest.mark.parametrize('first', ['', 'import mmengine.hub'])
def test_get_config_works_from_an_installed_wheel(installed, tmp_path, first):
    python, site = installed
    assert run_python(python, first + GET_CONFIG, tmp_path).startswith(str(site))


def test_get_config_works_from_the_checkout(tmp_path):
    code = f'import sys; sys.path.insert(0, {str(ROOT)!r})' + GET_CONFIG
    assert run_python(sys.executable, code, tmp_path).startswith(str(ROOT))


def test_get_config_works_from_an_editable_install(source, tmp_path):
    python, _ = install(build('build_editable', source, tmp_path / 'wheel'), tmp_path / 'venv')
    assert run_python(python, GET_CONFIG, tmp_path).startswith(str(source))


def test_a_config_elsewhere_can_have_one_of_ours_as_base(installed, tmp_path):
    (tmp_path / 'mine.py').write_text(f"_base_ = 'mmmae_st::{CONFIG}'\n")
    code = """
import mmmae_st
from mmengine import Config
print(Config.fromfile('mine.py').model.backbone.type)
"""
    assert run_python(installed[0], code, tmp_path) == 'SpacetimeViT'


def test_get_model_builds_ours(installed, tmp_path):
    code = """
import mmmae_st
from mmengine.hub import get_model
model = get_model('mmmae_st::smoke.py')
print(type(model).__name__)
"""
    assert run_python(installed[0], code, tmp_path) == 'SpatiotemporalMAE'


def test_names_of_other_packages_are_left_to_mmengine():
    from mmengine.config.utils import _get_package_and_cfg_path as split
    from mmengine.utils import get_installed_path

    assert split('mmdet::a/b.py') == ('mmdet', 'a/b.py')
    assert get_installed_path('mmengine').endswith('mmengine')
    for name in ('mmmae_st::', 'mmmae_st::a::b/c', 'b.py'):
        with pytest.raises((ValueError, AssertionError)):
            split(name)


@pytest.mark.parametrize(
    'args', [['benchmark_loader.py'], ['benchmark_step.py', f'CONFIGS/{CONFIG}', '--reference']]
)
def test_what_a_tool_lacks_outside_the_checkout_is_one_line(installed, tmp_path, args):
    python, site = installed
    mim = site / 'mmmae_st' / '.mim'
    tiny = ['--cfg-options', 'model.backbone.arch=tiny', 'model.decoder.encoder_dims=192']
    args = [arg.replace('CONFIGS', str(mim / 'configs')) for arg in args]
    args += tiny if len(args) > 1 else []
    result = call_python(
        python, mim / 'tools' / 'analysis_tools' / args[0], *args[1:], cwd=tmp_path
    )
    assert result.returncode == 1
    assert 'needs a checkout' in result.stderr.splitlines()[-1]
    assert 'Traceback' not in result.stderr


def test_a_wheel_built_from_the_source_archive_is_the_same(source, wheel, tmp_path):
    archive = build('build_sdist', source, tmp_path / 'sdist')
    subprocess.run(['tar', '-xzf', str(archive), '-C', str(tmp_path)], check=True)
    unpacked = tmp_path / archive.name.removesuffix('.tar.gz')
    again = build('build_wheel', unpacked, tmp_path / 'wheel')
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


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


def test_workflows_call_what_people_call():
    runs = {}
    for path in (ROOT / '.github' / 'workflows').glob('*.yml'):
        jobs = yaml.safe_load(path.read_text())['jobs'].values()
        runs[path.name] = [step['run'] for job in jobs for step in job['steps'] if 'run' in step]
    assert runs['tests.yml'] == ['.ci/run']
    assert 'python docs/build_site.py --out site' in runs['build.yml']
    for file in re.findall(r'\S+/\S+\.(?:txt|in|py)', ' '.join(runs['build.yml'])):
        assert (ROOT / file).exists(), file


def test_the_image_is_built_from_files_that_are_there():
    lines = (ROOT / 'docker' / 'Dockerfile').read_text().splitlines()
    copied = [line.split()[1] for line in lines if line.startswith('COPY ') and '--' not in line]
    sent = (ROOT / 'docker' / 'Dockerfile.dockerignore').read_text().splitlines()
    sent = [line[1:] for line in sent if line.startswith('!')]
    assert copied == ['requirements/core.txt', '.']
    assert {'mmmae_st', 'configs', 'tools', 'requirements', 'setup.py', 'README.md'} <= set(sent)
    for file in (*copied, *sent):
        assert (ROOT / file).exists(), file
