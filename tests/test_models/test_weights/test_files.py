import argparse
import collections
import os
import pickle
import zipfile
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file

from mmmae_st.fileio import safe_loading
from mmmae_st.models.weights import read_checkpoint, write_checkpoint

STATE = {'a.weight': torch.arange(6.0).view(2, 3), 'a.bias': torch.ones(2)}


class RunsCode:
    """Unpickling this would run a shell command."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)


def assert_same(state):
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize('wrapper', ['state_dict', 'model', 'model_state', 'module', None])
def test_wrappers(tmp_path, wrapper):
    state = {f'module.{name}': tensor for name, tensor in STATE.items()}
    content = state if wrapper is None else {wrapper: state, 'epoch': 3, 'optimizer': {}}
    torch.save(content, tmp_path / 'a.pth')
    assert_same(read_checkpoint(tmp_path / 'a.pth').state)


@pytest.mark.parametrize('legacy', [False, True])
def test_namespace_is_admitted(tmp_path, legacy):
    content = {'model': STATE, 'args': argparse.Namespace(decoder_num_heads=16, lr=None)}
    torch.save(content, tmp_path / 'a.pth', _use_new_zipfile_serialization=not legacy)
    file = read_checkpoint(str(tmp_path / 'a.pth'))
    assert_same(file.state)
    assert file.args == {'decoder_num_heads': 16, 'lr': None}


@pytest.mark.parametrize('kind', ['zip', 'legacy', 'pickle', 'pickle2'])
def test_code_is_refused_by_name(tmp_path, kind):
    path, trace = tmp_path / 'a.pth', tmp_path / 'ran'
    content = {'model': {'a': 1}, 'args': RunsCode(trace)}
    if kind.startswith('pickle'):
        path.write_bytes(pickle.dumps(content, protocol=2 if kind == 'pickle2' else None))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == 'zip')
    with pytest.raises(ValueError, match=r'a\.pth was refused: .*posix\.system .*run code'):
        read_checkpoint(path)
    assert not trace.exists()


def test_harmless_classes_are_refused_by_name_too(tmp_path):
    torch.save({'model': STATE, 'log': collections.deque([1])}, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match=r'refused: .*collections\.deque'):
        read_checkpoint(tmp_path / 'a.pth')


def test_namespace_is_not_admitted_elsewhere(tmp_path):
    torch.save({'model': STATE, 'args': argparse.Namespace()}, tmp_path / 'a.pth')
    read_checkpoint(tmp_path / 'a.pth')
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / 'a.pth', weights_only=True)


def test_bad_files(tmp_path):
    def refused(name, message, error=ValueError):
        with pytest.raises(error, match=message):
            read_checkpoint(tmp_path / name)

    refused('absent.pth', 'does not exist', FileNotFoundError)
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'folder' / 'epoch_1.pth').touch()
    refused('folder', 'is a folder: name a file; in it are epoch_1.pth')
    refused('folder/epoch_1.pth', 'is empty')
    (tmp_path / 'text.pth').write_text('hello, this is no checkpoint')
    refused('text.pth', 'no PyTorch file')

    torch.save(STATE, tmp_path / 'good.pth')
    whole = (tmp_path / 'good.pth').read_bytes()
    (tmp_path / 'cut.pth').write_bytes(whole[: len(whole) // 2])
    refused('cut.pth', 'damaged, cut short')
    (tmp_path / 'zeros.pth').write_bytes(whole[:60] + bytes(140) + whole[200:])
    refused('zeros.pth', 'damaged, cut short')
    with zipfile.ZipFile(tmp_path / 'other.pth', 'w') as archive:
        archive.writestr('x', 'y')
    refused('other.pth', 'no PyTorch file')

    torch.save(torch.ones(3), tmp_path / 'tensor.pth')
    refused('tensor.pth', 'holds a Tensor, not the parameters')
    torch.save({'epoch': 3, 'optimizer': {'lr': 0.1}}, tmp_path / 'no_weights.pth')
    refused('no_weights.pth', 'holds no parameters: .* its keys are epoch, optimizer')

    save_file(STATE, tmp_path / 'a.safetensors')
    whole = (tmp_path / 'a.safetensors').read_bytes()
    (tmp_path / 'cut.safetensors').write_bytes(whole[:-4])
    refused('cut.safetensors', 'not a whole safetensors file')


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_written_files_are_read_back(tmp_path, suffix):
    path = tmp_path / 'new' / f'a{suffix}'
    halves = STATE | {'a.weight': STATE['a.weight'].T}  # not contiguous
    meta = {'source': 'mae_st', 'config': {'backbone': {'arch': 'large'}}}
    write_checkpoint(path, halves, meta=meta)
    file = read_checkpoint(path)
    assert file.meta == meta
    assert torch.equal(file.state['a.weight'], STATE['a.weight'].T)
    assert path.stat().st_size < 3000


def test_addresses_are_downloaded_once(tmp_path, monkeypatch):
    calls = []

    def download(url, local, progress):
        calls.append(url)
        torch.save(STATE, local)

    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    for _ in range(2):
        assert_same(read_checkpoint('https://example.org/models/large.pth?v=1').state)
    assert calls == ['https://example.org/models/large.pth?v=1']
    assert (tmp_path / 'checkpoints' / 'large.pth').exists()


def test_a_process_that_does_not_see_the_file_of_the_first_fetches_it(tmp_path, monkeypatch):
    calls = []

    def download(url, local, progress):
        calls.append(url)
        if len(calls) == 1:
            raise URLError('no route')
        torch.save(STATE, local)

    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', download)
    monkeypatch.setattr(safe_loading, 'is_main_process', lambda: False)
    with pytest.raises(OSError, match=r'example.org/a.pth cannot be downloaded: .*no route'):
        read_checkpoint('https://example.org/a.pth')
    assert_same(read_checkpoint('https://example.org/a.pth').state)
