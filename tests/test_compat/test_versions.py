"""The early check of the installed packages."""

import subprocess
import sys
from pathlib import Path

import pytest

from mmmae_st.compat.versions import MMCV_RANGE, check_versions

ROOT = Path(__file__).parents[2]

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
    check_versions({**without('mmcv-lite'), 'onedl-mmcv': '2.3.6'})
    check_versions({**without('mmengine'), 'onedl-mmengine': '0.10.12'})
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
        ({**GOOD, 'onedl-mmcv': '2.3.6'}, ['mmcv-lite 2.1.0 and onedl-mmcv 2.3.6', 'uninstall']),
        ({**without('mmcv-lite'), 'onedl-mmcv': '3.0'}, ['onedl-mmcv 3.0', 'pip uninstall']),
        (
            {**GOOD, 'onedl-mmengine': '0.10.12'},
            ['mmengine 0.10.7 and onedl-mmengine 0.10.12', 'pip uninstall -y mmengine onedl-mm'],
        ),
        (
            {**without('mmengine'), 'onedl-mmengine': '0.9'},
            ['onedl-mmengine 0.9', 'mmengine>=0.10.4,<1.0'],
        ),
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
import sys
sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]
try:
    import mmmae_st
except ImportError as error:
    print(error)
assert 'torch' not in sys.modules and 'mmengine' not in sys.modules
"""
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert 'mmcv 2.2.0 and mmcv-lite 2.2.0' in result.stdout, result.stderr
