"""The command-line converter, end to end on small files."""

import argparse
import runpy
from pathlib import Path

import pytest
import timm
import torch
from references.layers import randomise
from references.mae_st import MaeStClassifier, MaeStPretrain
from references.pyslowfast import PySlowFastPretrain
from references.videomae import VideoMAEEncoder
from safetensors.torch import load_file

from mmmae_st.models.weights import read_checkpoint
from mmmae_st.models.weights.names import TABLES
from mmmae_st.models.weights.published import PUBLISHED

TOOL = Path(__file__).parents[2] / 'tools' / 'model_converters' / 'convert.py'
ENCODER = dict(embed_dim=32, depth=2, num_heads=4, img_size=32, num_frames=16, patch_size=8)


@pytest.fixture(scope='module')
def convert():
    return runpy.run_path(str(TOOL))['main']


def save(path, model, key='model', **more):
    torch.save({key: randomise(model).state_dict(), **more}, path)
    return model


def test_mae_st_there_and_back(convert, tmp_path, capsys):
    theirs = save(
        tmp_path / 'a.pth',
        MaeStPretrain(encoder=ENCODER, decoder_embed_dim=64, decoder_depth=2),
        args=argparse.Namespace(norm_pix_loss=False, decoder_num_heads=4),
    )
    convert([f'{tmp_path}/a.pth', f'{tmp_path}/b.safetensors'])
    text = capsys.readouterr().out
    for line in (
        'a pretraining model (mae_st): encoder 32x2, patches of 2x8x8, separable',
        "backbone=dict(arch={'embed_dims': 32, 'depth': 2, 'num_heads': None}, patch_size=8",
        'decoder=dict(encoder_dims=32, embed_dims=64, depth=2, num_heads=4, img_size=32',
        "cls_token='own'",
        "frames='linspace', target='pixels'",
        'matched               67',
        'of them computed       8  8 fused from q, k and v',
        'missing                0',
        'left out               0',
        f'wrote {tmp_path}/b.safetensors: 67 tensors',
    ):
        assert line in text, text
    assert load_file(tmp_path / 'b.safetensors')['decoder.cls_token'].shape == (1, 1, 64)

    convert([f'{tmp_path}/b.safetensors', f'{tmp_path}/c.pth', '--to', 'mae_st'])
    text = capsys.readouterr().out
    assert '--decoder_embed_dim 64 --decoder_depth 2 --decoder_num_heads (4)' in text
    again = torch.load(tmp_path / 'c.pth', weights_only=True)['model']
    assert again.keys() == theirs.state_dict().keys()
    assert all(torch.equal(again[n], t) for n, t in theirs.state_dict().items())


def test_pyslowfast_keeps_its_settings(convert, tmp_path, capsys):
    model = PySlowFastPretrain(encoder=ENCODER, decoder_embed_dim=64, decoder_depth=1)
    save(tmp_path / 'a.pyth', model, key='model_state')
    convert([f'{tmp_path}/a.pyth', f'{tmp_path}/b.pth'])
    text = capsys.readouterr().out
    assert 'num_heads=1, img_size=32' in text and "pos_embed='joint', cls_token='encoder'" in text
    meta = read_checkpoint(tmp_path / 'b.pth').meta
    assert meta['source'] == 'pyslowfast' and meta['config']['head']['frames'] == 'stride'
    convert([f'{tmp_path}/b.pth', f'{tmp_path}/c.pth', '--to', 'mae_st'])
    assert 'left out              21  19 of decoder, 2 of head' in capsys.readouterr().out


def test_classifier_keeps_its_head(convert, tmp_path, capsys):
    save(tmp_path / 'a.pth', MaeStClassifier(encoder=ENCODER, num_classes=5))
    convert([f'{tmp_path}/a.pth', f'{tmp_path}/b.pth'])
    text = capsys.readouterr().out
    assert 'a fine-tuned classifier (mae_st)' in text and "out_type='pooled'" in text
    assert 'left out               0' in text
    state = torch.load(tmp_path / 'b.pth', weights_only=True)['state_dict']
    assert state['cls_head.fc_cls.weight'].shape == (5, 32)


def test_classifier_that_pools_otherwise_is_left_out_with_a_note(convert, tmp_path, capsys):
    state = MaeStClassifier(encoder=ENCODER, num_classes=5).state_dict()
    del state['cls_token'], state['pos_embed_class']
    torch.save({'model': state}, tmp_path / 'a.pth')
    convert([f'{tmp_path}/a.pth', f'{tmp_path}/b.pth'])
    text = capsys.readouterr().out
    assert 'an encoder (mae_st)' in text and 'left out               2  2 of cls_head' in text
    assert 'note: the classifier is left out: it pools the tokens' in text


@pytest.mark.parametrize(
    ('suffix', 'pool'), [('pth', 'token'), ('safetensors', 'token'), ('pth', 'avg')]
)
def test_timm(convert, tmp_path, suffix, pool):
    save(tmp_path / 'a.pth', MaeStClassifier(encoder=ENCODER, num_classes=5))
    target = 'timm' if pool == 'token' else 'timm_avg'
    convert([f'{tmp_path}/a.pth', f'{tmp_path}/b.{suffix}', '--to', target])
    model = timm.create_model(
        'vit_large_patch16_224',
        embed_dim=32,
        depth=2,
        num_heads=4,
        patch_size=8,
        img_size=32,
        num_classes=0,
        global_pool=pool,
        checkpoint_path=f'{tmp_path}/b.{suffix}',
    )
    file = read_checkpoint(tmp_path / f'b.{suffix}')
    assert torch.equal(model.pos_embed, file.state['pos_embed'])


def test_prefix(convert, tmp_path, capsys):
    model = randomise(MaeStClassifier(encoder=ENCODER, num_classes=5))
    state = {f'teacher.{name}': tensor for name, tensor in model.state_dict().items()}
    torch.save(state | {'student.weight': torch.ones(2)}, tmp_path / 'a.pth')
    convert([f'{tmp_path}/a.pth', f'{tmp_path}/b.pth', '--prefix', 'teacher.'])
    assert 'left out               1  1 of student' in capsys.readouterr().out


def test_failures(convert, tmp_path, capsys):
    def fails(message, *arguments):
        with pytest.raises(SystemExit) as caught:
            convert([f'{tmp_path}/{name}' for name in arguments[:2]] + list(arguments[2:]))
        assert message in str(caught.value) + capsys.readouterr().err
        assert not (tmp_path / 'out.pth').exists()

    model = save(tmp_path / 'a.pth', VideoMAEEncoder(32, 2, 4, num_tokens=4))
    theirs = MaeStClassifier(encoder=ENCODER, num_classes=5)
    fails('OUT must be another file than IN', 'a.pth', 'a.pth')
    fails('absent.pth does not exist', 'absent.pth', 'out.pth')
    fails('lack backbone.cls_token', 'a.pth', 'out.pth', '--to', 'timm')
    (tmp_path / 'text.pth').write_text('import os')
    fails('text.pth is damaged, cut short or no PyTorch file', 'text.pth', 'out.pth')
    state = model.state_dict()
    no_norm = {n: t for n, t in theirs.state_dict().items() if not n.startswith('norm.')}
    torch.save(no_norm, tmp_path / 'no_norm.pth')
    fails('do not fill the model', 'no_norm.pth', 'out.pth')
    del state['blocks.0.mlp.fc1.bias']
    torch.save(state, tmp_path / 'half.pth')
    fails('the encoder is not complete: 1 of 26', 'half.pth', 'out.pth')


def test_what_is_published_is_listed_as_on_the_page(convert, capsys):
    with pytest.raises(SystemExit) as end:
        convert(['--list'])
    assert end.value.code == 0
    table = capsys.readouterr().out
    assert table in (TOOL.parents[2] / 'docs/weights.md').read_text()
    assert {one.source for one in PUBLISHED} <= {*TABLES}
