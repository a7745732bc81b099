import argparse

import pytest
import torch
from mmengine.config import Config
from references.mae_st import MaeStPretrain
from support.tiny_checkpoint import tiny_config, write_tiny_checkpoint

from mmmae_st.apis.load import load_autoencoder, load_encoder
from mmmae_st.models.weights import parse_config, write_checkpoint


def test_config_text_is_read_back():
    cfg = Config(
        dict(
            a=dict(b=[1, -2.5, (True, None)], **{'c.d': 'x'}),
            e=[dict(type='F', g={1: 'one'})],
            h='text',
        )
    )
    assert parse_config(cfg.pretty_text).to_dict() == cfg.to_dict()


@pytest.mark.parametrize(
    'text',
    [
        'import os',
        "model = __import__('os').system('true')",
        'model = dict(a=open)',
        'model.a = 1',
        'model = [x for x in (1, 2)]',
        'model = dict(',
    ],
)
def test_nothing_in_a_config_text_runs(text):
    with pytest.raises(ValueError, match='config in the checkpoint cannot be read'):
        parse_config(text)


def test_autoencoder_out_of_a_checkpoint_alone(tmp_path):
    original = write_tiny_checkpoint(tmp_path / 'a.pth')
    model = load_autoencoder(tmp_path / 'a.pth')
    assert not model.training
    ids = torch.arange(0, 64, 4)[None]
    video = torch.randn(1, 3, 8, 32, 32)
    assert torch.equal(model.loss(video, ids)['loss'], original.loss(video, ids)['loss'])


def test_encoder_out_of_a_checkpoint(tmp_path):
    original = write_tiny_checkpoint(tmp_path / 'a.pth')
    encoder, preprocessor = load_encoder(tmp_path / 'a.pth')
    video = torch.randn(1, 3, 8, 32, 32)
    assert torch.equal(encoder(video), original.backbone(video))
    assert preprocessor.mean.flatten().tolist() == [114.75] * 3


def test_file_that_does_not_describe_itself_needs_a_config(tmp_path):
    original = write_tiny_checkpoint(tmp_path / 'a.pth')
    write_checkpoint(tmp_path / 'bare.safetensors', original.state_dict())
    with pytest.raises(ValueError, match=r'number of heads .* \(--config\)'):
        load_autoencoder(tmp_path / 'bare.safetensors')
    model = load_autoencoder(tmp_path / 'bare.safetensors', tiny_config())
    assert torch.equal(model.head.pred.weight, original.head.pred.weight)


def test_encoder_alone_cannot_reconstruct(tmp_path):
    original = write_tiny_checkpoint(tmp_path / 'a.pth')
    cfg = tiny_config()
    meta = dict(source='mmmae_st', config=dict(backbone=cfg.to_dict()['model']['backbone']))
    meta['config']['backbone'].pop('type')
    state = {k: v for k, v in original.state_dict().items() if k.startswith('backbone.')}
    write_checkpoint(tmp_path / 'encoder.pth', state, meta=meta)
    with pytest.raises(ValueError, match='encoder without a decoder'):
        load_autoencoder(tmp_path / 'encoder.pth')


def test_official_checkpoint_says_what_it_is(tmp_path):
    torch.manual_seed(0)
    encoder = dict(img_size=32, num_frames=8, patch_size=8, embed_dim=192, depth=12, num_heads=3)
    original = MaeStPretrain(32, 1, encoder=encoder)
    args = argparse.Namespace(norm_pix_loss=True, decoder_num_heads=16)
    torch.save(dict(model=original.state_dict(), args=args), tmp_path / 'mae_st.pth')
    model = load_autoencoder(tmp_path / 'mae_st.pth')
    assert model.decoder.num_heads == 16
    assert model.head.target == 'normalized_pixels' and model.head.frames == 'linspace'
    assert torch.equal(model.head.pred.weight, original.decoder_pred.weight)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.pth does not exist'):
        load_autoencoder(tmp_path / 'none.pth')
