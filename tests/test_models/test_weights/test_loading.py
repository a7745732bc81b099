import argparse
import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel, PretrainedInit
from references.layers import randomise
from references.mae_st import MaeStClassifier, MaeStPretrain
from references.pyslowfast import PySlowFastClassifier, PySlowFastPretrain

from mmmae_st.models import MAEDecoder, MAEHead, SpacetimeViT, SpatiotemporalMAE
from mmmae_st.models.weights import (
    Checkpoint,
    fit,
    load_pretrained,
    read_checkpoint,
    to_ours,
    write_checkpoint,
)

ARCH = dict(embed_dims=32, depth=4, num_heads=4)
SIZE = dict(img_size=32, num_frames=16, patch_size=8)
ENCODER = dict(embed_dim=32, depth=4, num_heads=4, **SIZE)


def encoder(path=None, init_cfg=(), **arguments):
    if path is not None:
        init_cfg = dict(type='Pretrained', checkpoint=str(path), **dict(init_cfg))
    return SpacetimeViT(**{'arch': ARCH, **SIZE, **arguments}, init_cfg=init_cfg or None)


def masked_autoencoder(backbone=(), decoder=(), head=()):
    return SpatiotemporalMAE(
        backbone=dict(type=SpacetimeViT, arch=ARCH, **SIZE) | dict(backbone),
        decoder=dict(type=MAEDecoder, encoder_dims=32, embed_dims=64, depth=2, num_heads=16)
        | SIZE
        | dict(decoder),
        head=dict(type=MAEHead, embed_dims=64, patch_size=8) | dict(head),
    )


def clips(frames=16, height=32, width=32):
    return torch.randn(1, 3, frames, height, width, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def ours(tmp_path):
    """A pretraining checkpoint of this project, and its model."""
    model = randomise(masked_autoencoder())
    path = tmp_path / 'ours.pth'
    torch.save({'state_dict': model.state_dict(), 'meta': {'epoch': 1}, 'optimizer': {}}, path)
    return path, model


def mae_st_file(path, model):
    args = argparse.Namespace(decoder_num_heads=16, norm_pix_loss=True)
    torch.save({'model': model.state_dict(), 'args': args, 'epoch': 3}, path)


def official_files(folder):
    makers = dict(
        mae_st=lambda: MaeStPretrain(encoder=ENCODER, decoder_embed_dim=64, decoder_depth=2),
        mae_st_classifier=lambda: MaeStClassifier(encoder=ENCODER, num_classes=5),
        pyslowfast=lambda: PySlowFastPretrain(encoder=ENCODER, decoder_embed_dim=64),
        pyslowfast_classifier=lambda: PySlowFastClassifier(encoder=ENCODER, num_classes=5),
    )
    for name, make in makers.items():
        model = randomise(make())
        if name.startswith('mae_st'):
            mae_st_file(folder / name, model)
        else:
            content = {'epoch': 3, 'model_state': model.state_dict(), 'cfg': 'TASK: ssl'}
            torch.save(content, folder / name)
        yield folder / name, model


def test_official_files_load_without_conversion(tmp_path):
    for path, theirs in official_files(tmp_path):
        for prefix in ({}, dict(prefix='backbone.'), dict(prefix=None)):
            model = encoder(path, prefix)
            model.init_weights()
            wanted = theirs.norm(theirs.encode(clips()))
            torch.testing.assert_close(model(clips()), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('kind', ['pretraining', 'recogniser', 'wrapped', 'bare', 'safetensors'])
def test_files_of_this_project(tmp_path, ours, kind):
    path, source = ours
    state = source.state_dict()
    if kind == 'recogniser':
        state = {n: t for n, t in state.items() if n.startswith('backbone.')}
        state['cls_head.fc_cls.weight'] = torch.ones(5, 32)
        state['roi_head.bbox_head.fc_cls.weight'] = torch.ones(5, 32)
    elif kind == 'bare':
        state = source.backbone.state_dict()
    elif kind == 'wrapped':
        state = {f'module.{n}': t for n, t in state.items()}
    if kind != 'pretraining':
        path = tmp_path / ('a.safetensors' if kind == 'safetensors' else 'a.pth')
        write_checkpoint(path, state)
    model = encoder(path)
    model.init_weights()
    for name, tensor in source.backbone.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_other_prefix(tmp_path, ours):
    _, source = ours
    path = tmp_path / 'a.pth'
    write_checkpoint(path, {f'student.vit.{n}': t for n, t in source.backbone.state_dict().items()})
    report = load_pretrained(encoder(), path, prefix='student.vit.')
    assert len(report.matched) == len(source.backbone.state_dict())
    with pytest.raises(ValueError, match=r"no parameter begins with prefix='teacher\.'.*student"):
        load_pretrained(encoder(), path, prefix='teacher.')


class Recogniser(BaseModel):
    """As mmaction2 builds them: a backbone with its own ``init_cfg``, and a head."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.cls_head = torch.nn.Linear(32, 5)

    def forward(self, x):
        return self.cls_head(self.backbone(x))


def test_a_recogniser_initialises_its_backbone(ours):
    path, source = ours
    model = Recogniser(encoder(path, dict(prefix='backbone.'), out_type='pooled'))
    model.init_weights()
    wanted = source.backbone(clips())[:, 1:]
    assert torch.equal(
        model.backbone.blocks[3].mlp.fc2.bias, source.backbone.blocks[3].mlp.fc2.bias
    )
    assert model.backbone(clips()).shape == (1, wanted.shape[2])
    path.unlink()
    model.backbone.init_weights()  # once is enough: nothing is read again


def test_report_and_log(ours, caplog, monkeypatch):
    path, source = ours
    messages = []
    monkeypatch.setattr(
        'mmmae_st.models.weights.loading.print_log', lambda text, logger: messages.append(text)
    )
    report = load_pretrained(encoder(img_size=64, num_frames=8, out_type='raw'), path)
    left = [n for n in source.state_dict() if not n.startswith('backbone.')]
    assert sorted(report.left_out) == sorted(left)
    assert report.reshaped == {
        'pos_embed.spatial': '1x4x4 to 1x8x8',
        'pos_embed.temporal': '8x1x1 to 4x1x1',
    }
    assert sorted(report.unexpected) == ['norm.bias', 'norm.weight']
    assert len(report.matched) == len(source.backbone.state_dict()) - 4
    text = messages[0]
    for part in (
        f'SpacetimeViT loads {path}, a pretraining model (mmmae_st): encoder 32x4',
        f'{len(report.matched)} matched, 2 reshaped, 0 missing, 2 unexpected, 0 misfits',
        'left out: 33 of decoder, 2 of head',
        'reshaped: pos_embed.spatial 1x4x4 to 1x8x8',
        'unexpected: norm.weight, norm.bias',
    ):
        assert part in text, text


@pytest.mark.parametrize('pos_embed', ['separable', 'joint'])
@pytest.mark.parametrize('size', [(8, 32, 32), (32, 32, 32), (16, 64, 96), (4, 48, 32)])
def test_tables_are_resampled_as_the_model_would(tmp_path, pos_embed, size):
    """A model built for the new size gives what the old model gives for such a clip."""
    source = randomise(encoder(pos_embed=pos_embed))
    write_checkpoint(tmp_path / 'a.pth', source.state_dict())
    model = encoder(tmp_path / 'a.pth', pos_embed=pos_embed, num_frames=size[0], img_size=size[1:])
    model.init_weights()
    torch.testing.assert_close(model(clips(*size)), source(clips(*size)), rtol=1e-5, atol=1e-5)


def test_oblong_tables_are_kept(tmp_path):
    """Of 16 positions, 2x8 is not taken for 4x4 when the file is of this project."""
    size = dict(img_size=(16, 64))
    source = randomise(encoder(**size))
    write_checkpoint(tmp_path / 'a.pth', source.state_dict())
    report = load_pretrained(encoder(**size), tmp_path / 'a.pth')
    assert not report.reshaped
    mae_st_file(tmp_path / 'b.pth', MaeStClassifier(encoder=ENCODER, num_classes=5))
    report = load_pretrained(encoder(**size), tmp_path / 'b.pth')
    assert report.reshaped == {'pos_embed.spatial': '1x4x4 to 1x2x8'}


def test_half_precision_files(tmp_path, ours):
    _, source = ours
    half = {n: t.bfloat16() for n, t in source.backbone.state_dict().items()}
    write_checkpoint(tmp_path / 'a.pth', half)
    model = encoder(tmp_path / 'a.pth', img_size=64)
    model.init_weights()
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert torch.equal(model.norm.weight, half['norm.weight'].float())


def test_whole_autoencoder_goes_on(tmp_path, ours):
    path, source = ours
    model = masked_autoencoder(backbone=dict(img_size=64), decoder=dict(img_size=64))
    report = load_pretrained(model, path)
    assert sorted(report.reshaped) == [
        'backbone.pos_embed.spatial',
        'decoder.pos_embed.spatial',
    ]
    model = masked_autoencoder()
    load_pretrained(model, path)
    assert all(torch.equal(t, source.state_dict()[n]) for n, t in model.state_dict().items())

    theirs = randomise(MaeStPretrain(encoder=ENCODER, decoder_embed_dim=64, decoder_depth=2))
    mae_st_file(tmp_path / 'a.pth', theirs)
    model = masked_autoencoder()
    load_pretrained(model, tmp_path / 'a.pth')
    ids = torch.arange(0, 128, 8)[None]
    torch.testing.assert_close(model.loss(clips(), ids)['loss'], theirs(clips(), ids)[0])


def refused(model, path, *patterns, prefix=None):
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError) as caught:
        load_pretrained(model, path, prefix)
    for pattern in patterns:
        assert pattern in str(caught.value), str(caught.value)
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())


def test_incomplete_encoders_are_refused(tmp_path, ours):
    _, source = ours
    state = source.state_dict()
    half = {n: t for n, t in state.items() if 'backbone.blocks.2' not in n}
    write_checkpoint(tmp_path / 'a.pth', half)
    refused(encoder(), tmp_path / 'a.pth', 'a.pth cannot be loaded: the encoder is not complete',
            '12 of', 'backbone.blocks.2.norm1.weight')  # fmt: skip
    half = {n: t for n, t in half.items() if 'backbone.blocks.3' not in n}
    write_checkpoint(tmp_path / 'a.pth', half)
    refused(encoder(), tmp_path / 'a.pth', 'a pretraining model (mmmae_st): encoder 32x2',
            '24 missing', 'missing: blocks.2.norm1.weight')  # fmt: skip
    refused(masked_autoencoder(), tmp_path / 'a.pth', 'missing: backbone.blocks.2.norm1.weight')
    write_checkpoint(tmp_path / 'a.pth', source.backbone.state_dict())
    refused(masked_autoencoder(), tmp_path / 'a.pth', 'It seems to be an encoder (mmmae_st)',
            'missing: decoder.mask_token')  # fmt: skip


def test_encoders_of_other_kinds_are_refused(tmp_path, ours):
    path, _ = ours
    file = 'the file needs'
    refused(encoder(patch_size=16), path, f'backbone.patch_size is 16 but {file} 8')
    refused(encoder(tubelet_size=4), path, f'backbone.tubelet_size is 4 but {file} 2')
    refused(encoder(pos_embed='joint'), path, "pos_embed is 'joint' but", "'separable'")
    refused(encoder(pos_embed='sincos'), path, "pos_embed is 'sincos' but", "'separable'")
    refused(encoder(with_cls_token=False), path, 'with_cls_token is False but')
    refused(encoder(mlp_ratio=2), path, 'does not fit: blocks.0.mlp.fc1.weight is (128, 32)')
    deeper = dict(ARCH, depth=3)
    refused(encoder(arch=deeper), path, '12 unexpected', 'unexpected: blocks.3.norm1.weight')
    wider = dict(ARCH, embed_dims=64)
    refused(encoder(arch=wider), path, 'backbone.embed_dims is 64 but the file needs 32')
    write_checkpoint(
        tmp_path / 'resnet.pth', {'conv1.weight': torch.ones(1), 'fc.bias': torch.ones(1)}
    )
    refused(
        encoder(),
        tmp_path / 'resnet.pth',
        'not those of a plain vision transformer',
        "['conv1', 'fc']",
    )


def test_patches_of_14_pixels_are_refused(tmp_path):
    theirs = MaeStClassifier(encoder=dict(ENCODER, patch_size=14, img_size=28), num_classes=2)
    mae_st_file(tmp_path / 'a.pth', theirs)
    refused(encoder(patch_size=16), tmp_path / 'a.pth', 'patches of 2x14x14',
            'backbone.patch_size is 16 but the file needs 14')  # fmt: skip
    load_pretrained(encoder(patch_size=14, img_size=28), tmp_path / 'a.pth')


def test_settings_that_no_name_shows_are_checked(tmp_path):
    """Heads, class token and target frames do not show in names or shapes."""
    theirs = randomise(PySlowFastPretrain(encoder=ENCODER, decoder_embed_dim=64, decoder_depth=2))
    torch.save({'model_state': theirs.state_dict()}, tmp_path / 'a.pth')
    right = dict(num_heads=1, pos_embed='joint', cls_token='encoder')
    frames = dict(frames='stride')
    load_pretrained(masked_autoencoder((), right, frames), tmp_path / 'a.pth')

    converted = to_ours(read_checkpoint(tmp_path / 'a.pth'))
    meta = {'source': converted.source, 'config': converted.config}
    write_checkpoint(tmp_path / 'b.safetensors', converted.state, meta=meta)
    for path in (tmp_path / 'a.pth', tmp_path / 'b.safetensors'):
        refused(
            masked_autoencoder(),
            path,
            'a pretraining model (pyslowfast)',
            "decoder.pos_embed is 'separable' but the file needs",
        )
        refused(masked_autoencoder((), dict(right, num_heads=16), frames), path,
                'decoder.num_heads is 16 but the file needs 1')  # fmt: skip
        refused(masked_autoencoder((), right), path,
                "head.frames is 'linspace' but the file needs 'stride'")  # fmt: skip

    base = dict(embed_dims=768, depth=12, num_heads=12)
    with torch.device('meta'):
        state = MaeStClassifier(
            encoder=dict(SIZE, embed_dim=768, depth=12, num_heads=12)
        ).state_dict()
    weights = to_ours(Checkpoint(state))
    assert weights.config['backbone']['arch'] == 'base'
    with torch.device('meta'):
        right, wrong = encoder(arch=base), encoder(arch=dict(base, num_heads=8))
    assert fit(right, weights)[1].is_complete()
    assert fit(wrong, weights)[1].conflicts == ['backbone.num_heads is 8 but the file needs 12']


def test_init_cfg_is_checked(ours):
    path, source = ours
    model = encoder(init_cfg=dict(type=PretrainedInit, checkpoint=str(path)))
    model.init_weights()
    assert torch.equal(model.cls_token, source.backbone.cls_token)
    with pytest.raises(ValueError, match=r"'strict'.*valid keys are .*'checkpoint', 'prefix'"):
        encoder(path, dict(strict=False)).init_weights()
    with pytest.raises(ValueError, match='checkpoint is needed'):
        encoder(init_cfg=dict(type='Pretrained')).init_weights()
    with pytest.raises(ValueError, match='stands alone'):
        cfg = dict(type='Pretrained', checkpoint=str(path))
        encoder(init_cfg=[cfg, dict(type='Constant', layer='Linear', val=0.0)]).init_weights()
    with pytest.raises(FileNotFoundError, match=r'absent\.pth does not exist'):
        encoder('absent.pth').init_weights()
    model = encoder(init_cfg=dict(type='Constant', layer='Linear', val=0.5))
    model.init_weights()
    assert (model.blocks[0].mlp.fc1.weight == 0.5).all()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            dict(backbone=dict(arch=ARCH | dict(num_heads=2))),
            r'num_heads is 2 .* needs 4',
        ),
        (dict(backbone=dict(norm_eps=0.1)), r'backbone\.norm_eps is 0\.1 .* needs 1e-06'),
        (dict(decoder=dict(num_heads=8)), r'decoder\.num_heads is 8 .* needs 16'),
        (dict(head=dict(frames='stride')), r"head\.frames is 'stride' .* needs 'linspace'"),
        (dict(head=dict(target='pixels')), r"head\.target is 'pixels' .* 'normalized_pixels'"),
    ],
)
def test_what_only_the_config_of_the_run_tells(ours, tmp_path, change, message):
    path, _ = ours
    parts = dict(
        backbone=dict(type='SpacetimeViT', arch=ARCH, **SIZE),
        decoder=dict(type='MAEDecoder', encoder_dims=32, embed_dims=64, depth=2, **SIZE),
        head=dict(type='mmmae_st.MAEHead', embed_dims=64, patch_size=8),
    )
    content = torch.load(path, weights_only=True)
    content['meta']['cfg'] = Config(dict(model=dict(type='SpatiotemporalMAE', **parts))).pretty_text
    torch.save(content, path)
    load_pretrained(masked_autoencoder(), path)
    with pytest.raises(ValueError, match=message):
        load_pretrained(masked_autoencoder(**change), path)
    content['meta']['cfg'] = 'import os'
    torch.save(content, path)
    load_pretrained(masked_autoencoder(**change), path)


def test_what_a_published_file_says_is_checked(tmp_path):
    kinds = dict(tubelet_size=2, pos_embed='separable', with_cls_token=True, norm_eps=1e-6)
    config = dict(backbone=dict(arch=ARCH, **SIZE, **kinds))
    meta = dict(source='mmmae_st', config=config)
    write_checkpoint(tmp_path / 'a.pth', randomise(masked_autoencoder()).state_dict(), meta=meta)
    load_pretrained(encoder(), tmp_path / 'a.pth')
    for change, message in (
        (dict(arch=ARCH | dict(num_heads=2)), 'backbone.num_heads is 2 but the file needs 4'),
        (dict(norm_eps=1e-5), 'backbone.norm_eps is 1e-05 but the file needs 1e-06'),
    ):
        refused(encoder(**change), tmp_path / 'a.pth', message)
