import importlib.metadata
import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from mmengine.registry import DefaultScope


@pytest.fixture
def compat():
    pytest.importorskip('mmaction')
    return importlib.import_module('mmmae_st.compat.mmaction')


def find_spec_without(missing, replaced=None):
    original = importlib.util.find_spec

    def find_spec(name, package=None):
        if name in (replaced or {}):
            return replaced[name]
        return None if name in missing else original(name, package)

    return find_spec


def test_models_can_be_imported_and_drn_says_why_it_cannot_be_built(compat):
    models = importlib.import_module('mmaction.models')
    assert hasattr(models, 'Recognizer3D')
    if not hasattr(sys.modules['mmaction.models.localizers.drn.drn'], '__file__'):
        with pytest.raises(ImportError, match='issue 2714'):
            models.DRN()


def test_mmaction_absent_gives_the_command(compat, monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', find_spec_without(['mmaction']))
    with pytest.raises(RuntimeError, match=r'pip install .*mmaction2==1\.2\.0'):
        compat.mend_mmaction()


def test_undeclared_importlib_metadata_is_stood_in_for(compat, monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', find_spec_without(['importlib_metadata']))
    monkeypatch.delitem(sys.modules, 'importlib_metadata', raising=False)
    compat.mend_mmaction()
    assert sys.modules['importlib_metadata'] is importlib.metadata


def test_the_fork_of_mmcv_passes_the_check(compat, monkeypatch):
    mmcv = importlib.import_module('mmcv')
    monkeypatch.setattr(mmcv, '__version__', '2.3.6')
    monkeypatch.delitem(sys.modules, 'mmaction')
    with pytest.raises(AssertionError, match=r'MMCV==2\.3\.6 is used but incompatible'):
        importlib.import_module('mmaction')
    installed = {'onedl-mmcv': '2.3.6', 'mmcv': None}
    monkeypatch.setattr(compat, 'version_of', installed.get)
    compat.mend_mmaction()
    assert 'mmaction' in sys.modules and mmcv.__version__ == '2.3.6'


def test_a_full_mmaction_is_left_alone(compat, monkeypatch, tmp_path: Path):
    drn = tmp_path / 'mmaction' / 'models' / 'localizers' / 'drn' / 'drn.py'
    drn.parent.mkdir(parents=True)
    drn.touch()
    spec = SimpleNamespace(origin=str(tmp_path / 'mmaction' / '__init__.py'))
    monkeypatch.setattr(
        importlib.util, 'find_spec', find_spec_without(['transformers'], {'mmaction': spec})
    )
    monkeypatch.setattr(compat, '_stand_in_for_drn', lambda: pytest.fail('stood in'))
    compat.mend_mmaction()


def test_too_new_transformers_switch_vindlu_off_and_are_named(compat, monkeypatch):
    dependency = importlib.import_module('mmaction.utils.dependency')
    monkeypatch.setattr(dependency, 'WITH_MULTIMODAL', True)
    for name in compat.VINDLU_NAMES:
        module = ModuleType(name)
        module.BeitAttention = object
        monkeypatch.setitem(sys.modules, name, module)
    for parent in ('transformers', 'transformers.models', 'transformers.models.beit'):
        monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
    with pytest.warns(UserWarning, match='too new for mmaction2 .*apply_chunking_to_forward'):
        compat._check_transformers()
    assert dependency.WITH_MULTIMODAL is False


def test_missing_names(compat):
    wanted = {'math': ('sin', 'nothing'), 'no_such_module': ('x',)}
    assert compat.missing_names(wanted) == ['math.nothing', 'no_such_module.x']


def test_labels_that_are_not_mixed_train_in_bfloat16(compat):
    from mmaction.models import TimeSformerHead
    from mmaction.structures import ActionDataSample

    with DefaultScope.overwrite_default_scope('mmaction'):
        head = TimeSformerHead(num_classes=3, in_channels=4)
    samples = [ActionDataSample().set_gt_label(label) for label in (0, 2)]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = head.loss(torch.randn(2, 4), samples)
    assert losses['loss_cls'].dtype is torch.float32
    assert losses['top1_acc'] in (0, 0.5, 1)
    compat.score_in_float32()  # a second time changes nothing
    assert not hasattr(type(head).loss_by_feat.__wrapped__, '__wrapped__')
