import pytest
from mmengine.config import Config

from mmmae_st.config.packaged import config_names, find_config


def test_names():
    names = config_names()
    assert {'mae_st_vitb_k400', 'finetune/vitl_k400', 'quickstart'} <= set(names)
    assert not [name for name in names if '_base_' in name or name.endswith('.py')]


@pytest.mark.parametrize(
    'name',
    [
        *('finetune/vitl_k400', 'finetune/vitl_k400.py', 'configs/finetune/vitl_k400.py'),
        'mmmae_st::finetune/vitl_k400.py',
    ],
)
def test_a_config_of_the_package_is_found_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = find_config(name)
    assert Config.fromfile(path, import_custom_modules=False).model.type == 'Recognizer3D'


def test_a_file_of_ones_own_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'quickstart.py').write_text('')
    assert find_config('quickstart.py') == 'quickstart.py'
    (tmp_path / 'smoke').mkdir()
    assert find_config('smoke').endswith('configs/smoke.py')


@pytest.mark.parametrize(('name', 'kind'), [('videos', 'a folder'), ('a.mp4', 'another file')])
def test_what_is_no_config_is_named(name, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'videos').mkdir()
    (tmp_path / 'a.mp4').touch()
    with pytest.raises(ValueError, match=rf'with one of \.py, .*; {name} is {kind}'):
        find_config(name)


@pytest.mark.parametrize(
    ('name', 'near'),
    [
        ('vitl_k400', 'near it are: finetune/vitl_k400, frozen/vitl_k400'),
        ('mae_st_vitb_k40.py', 'near it are: mae_st_vitb_k400'),
        ('/no/such/folder', 'mmmae_st info lists those'),
    ],
)
def test_what_is_near_is_named(name, near):
    with pytest.raises(FileNotFoundError, match=f'config {name} does not exist') as error:
        find_config(name)
    assert near in str(error.value)
