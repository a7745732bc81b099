"""What is said where something that detection needs is missing; runs with and without it."""

import importlib
import importlib.util
import os
import pickle
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.fileio.handlers import registry_utils

from mmmae_st.engine import prepare_runtime
from mmmae_st.fileio.array_pickle import ArrayPickleHandler

CONFIG = Path(__file__).parents[2] / 'configs' / 'detection' / 'mae_st_vitl_ava22.py'


@pytest.fixture(params=['mmaction', 'mmdet', 'mmcv.ops'])
def missing(request, monkeypatch):
    """One requirement after the other seems to be missing and the others to be there."""
    import_module = importlib.import_module

    def find_spec(name, package=None):
        return None if name == request.param else object()

    def without_ops(name, package=None):
        if name == 'mmcv.ops':
            raise ModuleNotFoundError("No module named 'mmcv._ext'")
        return import_module(name, package)

    monkeypatch.setattr(importlib.util, 'find_spec', find_spec)
    monkeypatch.setattr(importlib, 'import_module', without_ops)
    monkeypatch.delitem(sys.modules, 'mmmae_st.compat.mmdet', raising=False)
    return request.param


def test_message_names_what_is_missing_and_the_command(missing):
    with pytest.raises(RuntimeError) as caught:
        importlib.import_module('mmmae_st.compat.mmdet')
    message = str(caught.value)
    assert '\n' not in message
    beginning, command = {
        'mmaction': ('detection needs mmaction2', 'pip install mmaction2==1.2.0'),
        'mmdet': ('detection needs mmdet', 'pip install mmdet==3.3.0'),
        'mmcv.ops': (
            'detection needs mmcv with compiled operations, and this one has none (No module named '
            "'mmcv._ext')",
            'MMCV_WITH_OPS=1 pip install --no-build-isolation --no-binary mmcv mmcv==2.1.0',
        ),
    }[missing]
    assert message.startswith(beginning)
    assert command in message


def test_two_packages_of_the_same_module_are_refused(monkeypatch):
    from mmmae_st.compat import mmdet

    monkeypatch.setattr(mmdet, 'version_of', lambda package: '3.3.0')
    with pytest.raises(RuntimeError, match='mmdet and onedl-mmdetection are installed together'):
        mmdet.require_detection()


def test_config_says_the_same(missing):
    """mmengine passes the message on; an ImportError it would replace by one about PYTHONPATH."""
    with pytest.raises(RuntimeError, match=r'^detection needs '):
        Config.fromfile(CONFIG)


def test_a_file_of_person_boxes_cannot_run_code(tmp_path, monkeypatch):
    class Runs:
        def __reduce__(self):
            return os.system, ('touch ran',)

    pytest.importorskip('mmcv.ops', exc_type=ImportError)
    pytest.importorskip('mmdet')
    pytest.importorskip('mmaction')
    handlers = dict(registry_utils.file_handlers)
    monkeypatch.setattr(registry_utils, 'file_handlers', handlers)
    monkeypatch.setattr('mmengine.fileio.io.file_handlers', handlers)
    cfg = Config.fromfile(CONFIG)
    assert not isinstance(handlers['pkl'], ArrayPickleHandler)  # importing changes nothing
    prepare_runtime(cfg)
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'boxes.pkl').write_bytes(pickle.dumps({'video,0902': Runs()}))
    with pytest.raises(ValueError, match=r'refused: to read it, \w+\.system would'):
        load(tmp_path / 'boxes.pkl')
    assert not (tmp_path / 'ran').exists()
