import hashlib

import pytest
import torch
from safetensors.torch import load_file
from support.tiny_checkpoint import tiny_config, write_tiny_checkpoint

from mmmae_st.apis.load import load_autoencoder, load_encoder
from mmmae_st.apis.publish import publish


def test_files_hold_the_weights_and_nothing_else(tmp_path):
    original = write_tiny_checkpoint(tmp_path / 'epoch_1.pth')
    files = publish(tmp_path / 'epoch_1.pth', tmp_path / 'out' / 'tiny')
    assert [file.path.suffix for file in files] == ['.pth', '.safetensors']
    for file in files:
        digest = hashlib.sha256(file.path.read_bytes()).hexdigest()
        assert file.sha256 == digest
        assert file.path.stem == f'tiny-{digest[:8]}'
        assert file.size == file.path.stat().st_size
        assert file.size < (tmp_path / 'epoch_1.pth').stat().st_size - 300_000  # the optimiser
        assert b'/secret/folder' not in file.path.read_bytes()
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == sorted(
        f.path.name for f in files
    )
    content = torch.load(files[0].path, weights_only=True)
    assert set(content) == {'state_dict', 'meta'}
    for state in (content['state_dict'], load_file(files[1].path)):
        assert state.keys() == original.state_dict().keys()
        assert all(torch.equal(state[k], v) for k, v in original.state_dict().items())


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_published_file_is_used_without_a_config(tmp_path, suffix):
    cfg = tiny_config(target='pixels')
    del cfg.model.decoder.num_heads  # the default is written out
    cfg.model.decoder.embed_dims = 32
    for part in (cfg.model.decoder, cfg.model.head):  # what follows from the encoder, as well
        for key in ('encoder_dims', 'encoder_cls_token', 'img_size', 'num_frames', 'patch_size'):
            part.pop(key, None)
    del cfg.model.head['embed_dims']
    original = write_tiny_checkpoint(tmp_path / 'a.pth', cfg)
    files = {file.path.suffix: file.path for file in publish(tmp_path / 'a.pth', tmp_path / 'b')}
    model = load_autoencoder(files[suffix])
    video, ids = torch.randn(1, 3, 8, 32, 32), torch.arange(0, 64, 4)[None]
    assert torch.equal(model.loss(video, ids)['loss'], original.loss(video, ids)['loss'])
    assert model.head.target == 'pixels'


def test_encoder_alone_at_half_the_size(tmp_path):
    original = write_tiny_checkpoint(tmp_path / 'a.pth')
    for file in publish(tmp_path / 'a.pth', tmp_path / 'half.pth', 'encoder', 'bfloat16'):
        assert file.path.name.startswith('half-')
        encoder, _ = load_encoder(file.path)
        weight = original.backbone.blocks[0].attn.qkv.weight
        assert torch.equal(encoder.blocks[0].attn.qkv.weight, weight.bfloat16().float())
        with pytest.raises(ValueError, match='encoder without a decoder'):
            load_autoencoder(file.path)


def test_bad_input_is_named(tmp_path):
    write_tiny_checkpoint(tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='part must be one of'):
        publish(tmp_path / 'a.pth', tmp_path / 'b', part='decoder')
    with pytest.raises(ValueError, match='dtype must be'):
        publish(tmp_path / 'a.pth', tmp_path / 'b', dtype='int8')
    torch.save(dict(state_dict={'layer.weight': torch.zeros(1)}), tmp_path / 'c.pth')
    with pytest.raises(ValueError, match='holds no backbone'):
        publish(tmp_path / 'c.pth', tmp_path / 'b')
    assert not list(tmp_path.glob('b*')) and not list(tmp_path.glob('.b*'))
