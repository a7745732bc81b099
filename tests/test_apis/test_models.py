"""Models by name, config and checkpoint; what ``import mmmae_st`` gives."""

import subprocess
import sys

import pytest
import torch
from mmengine.config import Config
from support.tiny_checkpoint import tiny_config, write_tiny_checkpoint

import mmmae_st
from mmmae_st.apis import models
from mmmae_st.apis.models import get_model, list_models
from mmmae_st.apis.publish import publish
from mmmae_st.models import SpacetimeViT, SpatiotemporalMAE


def test_names_of_configs_and_of_published_weights():
    names = list_models()
    assert names == sorted(names)
    assert {'smoke', 'mae_st_vitl_k400', 'finetune/vitb_k400', 'ablation/ratio_50'} <= set(names)
    assert not [name for name in names if '_base_' in name or name.startswith('frozen')]
    published = list_models('*_official', pretrained=True)
    assert len(published) == 6 and 'mae_st_vitl_k400_official' in published
    assert list_models('nothing*') == []


def test_model_by_name_config_and_file(tmp_path):
    built = get_model('smoke')
    assert isinstance(built, SpatiotemporalMAE) and not built.training
    cfg = tiny_config()
    cfg.dump(tmp_path / 'tiny.py')
    original = write_tiny_checkpoint(tmp_path / 'a.pth')
    found = get_model(tmp_path / 'a.pth')
    for model in (get_model(cfg, tmp_path / 'a.pth'), found):
        assert torch.equal(model.head.pred.weight, original.head.pred.weight)
    fresh = get_model(str(tmp_path / 'tiny.py'))
    assert not torch.equal(fresh.head.pred.weight, original.head.pred.weight)
    assert fresh.cfg.model.head.type == found.cfg.model.head.type == 'MAEHead'


def test_encoder_where_the_file_has_no_decoder(tmp_path):
    original = write_tiny_checkpoint(tmp_path / 'a.pth')
    path = publish(tmp_path / 'a.pth', tmp_path / 'encoder', part='encoder')[1].path
    encoder = get_model(path)
    assert isinstance(encoder, SpacetimeViT)
    video = torch.randn(1, 3, 8, 32, 32)
    assert torch.equal(encoder(video), original.backbone(video))


def test_published_weights_by_name(tmp_path, monkeypatch):
    write_tiny_checkpoint(tmp_path / 'a.pth')
    entry = dict(Weights=str(tmp_path / 'a.pth'), Config='configs/smoke.py')
    monkeypatch.setattr(models, '_published', lambda: dict(tiny_official=entry))
    assert get_model('tiny_official', pretrained=True).decoder.embed_dims == 16
    assert get_model('tiny_official').decoder.embed_dims != 16  # the config, with new weights


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (('mae_st_vitl_k40',), r"got 'mae_st_vitl_k40'; close to it are mae_st_vitl_k400"),
        (('smoke', True), "pretrained=True needs one of .*got 'smoke'"),
        (('none.pth', 'a.pth'), 'pretrained must be left out'),
        (('none.pth',), r'none\.pth does not exist'),
        (('none.py',), r'config none\.py does not exist'),
        ((Config(dict(a=1)),), r"needs a model, it has \['a'\]"),
    ],
)
def test_what_is_wrong_is_named(given, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        get_model(*given)


def test_package_names_what_it_has_and_loads_it_late():
    assert set(mmmae_st.__all__) <= set(dir(mmmae_st))
    for name in mmmae_st.__all__:
        assert getattr(mmmae_st, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mmmae_st.nothing  # noqa: B018


def test_package_and_its_inferencers_do_without_mmaction2():
    code = """
import sys
sys.modules['mmaction'] = None
import mmmae_st
loaded = set(sys.modules)
assert not {'timm', 'mmmae_st.models', 'mmmae_st.apis'} & loaded, loaded
mmmae_st.FeatureInferencer, mmmae_st.ReconstructionInferencer, mmmae_st.get_model('smoke')
try:
    mmmae_st.ActionInferencer('none.pth')
except ValueError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert 'recognition and detection need mmaction2, which is not installed' in result.stdout
