"""Models as folders and on the Hub, by a server on this machine; nothing goes to the network."""

import json
import shutil
import sys

import pytest
import torch
import yaml
from huggingface_hub import constants
from mmengine.runner import CheckpointLoader
from safetensors.torch import load_file, save_file
from support.hub_server import hub_server
from support.tiny_checkpoint import tiny_config, write_tiny_checkpoint

from mmmae_st import from_pretrained, get_model, load_encoder, push_to_hub, save_pretrained
from mmmae_st.config import read_config
from mmmae_st.fileio import hub_files
from mmmae_st.fileio.hub_files import hub_file
from mmmae_st.fileio.safe_loading import use_safe_loading
from mmmae_st.models import SpacetimeViT, SpatiotemporalMAE
from mmmae_st.registry import MODELS

VIDEO = torch.randn(1, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def checkpoint(tmp_path):
    cfg = tiny_config(target='pixels')
    cfg.optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3), clip_grad=dict(max_norm=0.02))
    path = tmp_path / 'work_dirs' / 'run' / 'epoch_1.pth'
    path.parent.mkdir(parents=True)
    write_tiny_checkpoint(path, cfg)
    log = path.parent / '20260101_000000' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    rows = [dict(loss=0.9 - i / 100, iter=i + 1, step=i + 1, epoch=1, time=1.0) for i in range(20)]
    log.write_text('\n'.join(map(json.dumps, rows)))
    return path


def test_folder_gives_the_model_back(checkpoint, tmp_path):
    original = write_tiny_checkpoint(tmp_path / 'same.pth', tiny_config(target='pixels'))
    folder = save_pretrained(checkpoint, tmp_path / 'tiny')
    assert sorted(path.name for path in folder.iterdir()) == [
        'README.md',
        'config.json',
        'model.safetensors',
    ]
    model = from_pretrained(folder)
    assert isinstance(model, SpatiotemporalMAE) and not model.training
    ids = torch.arange(0, 64, 4)[None]
    assert torch.equal(model.loss(VIDEO, ids)['loss'], original.loss(VIDEO, ids)['loss'])
    again = from_pretrained(save_pretrained(model, tmp_path / 'again'))
    assert torch.equal(again.backbone(VIDEO), original.backbone(VIDEO))
    for source in (folder, folder / 'model.safetensors'):
        assert torch.equal(load_encoder(source)[0](VIDEO), original.backbone(VIDEO))
    assert torch.equal(get_model(folder).backbone(VIDEO), original.backbone(VIDEO))


def test_configs_of_the_package_leave_much_to_the_encoder(tmp_path):
    cfg = read_config('quickstart')
    original = write_tiny_checkpoint(tmp_path / 'epoch_1.pth', cfg)
    model = from_pretrained(save_pretrained(tmp_path / 'epoch_1.pth', tmp_path / 'tiny'))
    for name, tensor in original.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_encoder_alone_at_half_the_size(checkpoint, tmp_path):
    encoder, _ = load_encoder(checkpoint)
    folder = save_pretrained(encoder, tmp_path / 'half', dtype='bfloat16')
    content = json.loads((folder / 'config.json').read_text())
    assert set(content['model']) == {'backbone', 'data_preprocessor'}
    assert content['architectures'] == ['SpacetimeViT']
    state = load_file(folder / 'model.safetensors')
    assert {tensor.dtype for tensor in state.values()} == {torch.bfloat16}
    found = from_pretrained(folder)
    assert isinstance(found, SpacetimeViT)
    torch.testing.assert_close(found(VIDEO), encoder(VIDEO), atol=0.1, rtol=0.1)


def test_arguments_come_from_the_config_of_the_folder(checkpoint, tmp_path):
    """Also where the weights do not describe themselves, as after a conversion."""
    folder = save_pretrained(checkpoint, tmp_path / 'tiny')
    save_file(load_file(folder / 'model.safetensors'), folder / 'model.safetensors')
    assert from_pretrained(folder).backbone.num_heads == 2


def test_card_tells_data_recipe_loss_and_licence(checkpoint, tmp_path):
    folder = save_pretrained(checkpoint, tmp_path / 'tiny', license='apache-2.0')
    text = (folder / 'README.md').read_text()
    head = yaml.safe_load(text.split('---')[1])
    assert head['license'] == 'apache-2.0' and head['library_name'] == 'mmmae_st'
    assert '| Data | folder |' in text and '/secret' not in text
    assert 'AdamW(lr=0.001)' in text and 'RandomMasking(patch_size=8, ratio=0.75)' in text
    assert '| Loss (mean of the last tenth) | 0.715 |' in text
    bare = save_pretrained(load_encoder(checkpoint)[0], tmp_path / 'bare', data='my clips')
    text = (bare / 'README.md').read_text()
    assert '| Data | my clips |' in text and '| Licence | not stated |' in text
    assert '/secret' not in (folder / 'config.json').read_text()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The server in place of the Hub, and a cache of its own; ``HF_ENDPOINT`` is read on import."""
    with hub_server() as server:
        template = server.address + '/{repo_id}/resolve/{revision}/{filename}'
        monkeypatch.setattr(constants, 'ENDPOINT', server.address)
        monkeypatch.setattr(constants, 'HUGGINGFACE_CO_URL_TEMPLATE', template)
        monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path / 'cache'))
        yield server


def test_hub_gives_what_was_put_there(checkpoint, tmp_path, hub, monkeypatch):
    folder = save_pretrained(checkpoint, tmp_path / 'tiny')
    shutil.copy(checkpoint, folder / 'epoch_1.pth')  # stays at home
    commit = push_to_hub(folder, 'someone/tiny', token='hf_none')
    assert commit.startswith(f'{hub.address}/someone/tiny/commit')
    assert set(hub.files['someone/tiny']) == {'README.md', 'config.json', 'model.safetensors'}

    file = 'hf://someone/tiny/model.safetensors'
    same = from_pretrained(folder).state_dict()
    use_safe_loading()
    for state in (
        from_pretrained('someone/tiny').state_dict(),
        get_model(file).state_dict(),
        CheckpointLoader.load_checkpoint(file, 'cpu'),
    ):
        assert all(torch.equal(state[name], tensor) for name, tensor in same.items())
    assert load_encoder('hf://someone/tiny@main/model.safetensors')[0].num_heads == 2
    backbone = tiny_config().model.backbone
    init = MODELS.build(dict(backbone, init_cfg=dict(type='Pretrained', checkpoint=file)))
    init.init_weights()
    assert torch.equal(init.norm.weight, same['backbone.norm.weight'])
    fetched = [seen for seen in hub.requests_seen if seen.startswith('GET')]
    assert len([seen for seen in fetched if seen.endswith('model.safetensors')]) == 1
    with pytest.raises(OSError, match=r'hf://someone/tiny/none\.pth cannot be downloaded'):
        get_model('hf://someone/tiny/none.pth')

    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    seen = len(hub.requests_seen)
    assert isinstance(from_pretrained('someone/tiny'), SpatiotemporalMAE)
    with pytest.raises(OSError, match=r'hf://someone/other/config\.json cannot be downloaded'):
        from_pretrained('someone/other')
    with pytest.raises(OSError, match='someone/tiny cannot be written on the Hub'):
        push_to_hub(folder, 'someone/tiny', token='hf_none')
    assert len(hub.requests_seen) == seen


@pytest.mark.parametrize(
    'address', ['hf://a/b', 'hf://a//c', 'https://a/b/c', 'hf://a', 'hf:///b/c']
)
def test_malformed_addresses_are_named(address):
    with pytest.raises(ValueError, match=r'must be hf://user/name/file, got'):
        hub_file(address)


def test_what_is_wrong_is_named(checkpoint, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="must be a folder or 'user/name' on the Hub, got 'a/b/c'"):
        from_pretrained('a/b/c')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match=r'model\.safetensors does not exist'):
        from_pretrained(tmp_path / 'empty')
    with pytest.raises(FileNotFoundError, match=r'lacks config\.json'):
        push_to_hub(tmp_path / 'empty', 'a/b')
    with pytest.raises(ValueError, match='got a Linear'):
        save_pretrained(torch.nn.Linear(1, 1), tmp_path / 'x')
    with pytest.raises(ValueError, match="dtype must be .*, got 'int8'"):
        save_pretrained(checkpoint, tmp_path / 'x', dtype='int8')
    with pytest.raises(FileNotFoundError, match='holds no log'):
        save_pretrained(checkpoint, tmp_path / 'x', run=tmp_path / 'empty')
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(ValueError, match='pip install huggingface_hub'):
        hub_files.hub_file('hf://a/b/c.pth')
