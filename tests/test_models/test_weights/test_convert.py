"""A converter is right when outputs agree: foreign references with random weights against ours."""

import importlib
import re

import pytest
import timm
import torch
from references.layers import randomise
from references.mae_st import MaeStClassifier, MaeStPretrain
from references.pyslowfast import PySlowFastClassifier, PySlowFastPretrain
from references.videomae import VideoMAEEncoder
from support.plain_hog import plain_hog_patches

from mmmae_st.models import MAEDecoder, MAEHead, SpacetimeViT, SpatiotemporalMAE
from mmmae_st.models.weights import Checkpoint, to_mae_st, to_ours, to_timm
from mmmae_st.patching import removed_ids

TOLERANCE = 1e-5
SIZE = dict(img_size=32, num_frames=16, patch_size=8)
WIDTH, DEPTH, HEADS = 32, 2, 4
ENCODER = dict(embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS, **SIZE)
NUM_TOKENS = 8 * 4 * 4


def clips_and_ids():
    generator = torch.Generator().manual_seed(1)
    clips = torch.randn(2, 3, 16, 32, 32, generator=generator)
    ids = torch.stack([torch.randperm(NUM_TOKENS, generator=generator)[:12] for _ in range(2)])
    return clips, ids.sort(dim=1).values


def relative_error(found, wanted):
    """Largest difference over the largest wanted value."""
    return ((found - wanted).abs().max() / wanted.abs().max()).item()


def masked_autoencoder(decoder_width, decoder_heads, pos_embed, decoder_pos_embed, cls, frames):
    arch = dict(embed_dims=WIDTH, depth=DEPTH, num_heads=HEADS)
    decoder = dict(embed_dims=decoder_width, depth=2, num_heads=decoder_heads, cls_token=cls)
    return SpatiotemporalMAE(
        backbone=dict(type=SpacetimeViT, arch=arch, pos_embed=pos_embed, **SIZE),
        decoder=dict(
            type=MAEDecoder, encoder_dims=WIDTH, pos_embed=decoder_pos_embed, **decoder, **SIZE
        ),
        head=dict(type=MAEHead, embed_dims=decoder_width, patch_size=8, frames=frames),
    )


def make_mae_st(separable=True, normalise=True):
    return MaeStPretrain(
        encoder=dict(ENCODER, sep_pos_embed=separable),
        decoder_embed_dim=64,
        decoder_depth=2,
        norm_pix_loss=normalise,
    )


def make_pyslowfast(separable=False):
    return PySlowFastPretrain(
        encoder=ENCODER, decoder_embed_dim=128, decoder_depth=2, separable_decoder=separable
    )


PAIRS = {
    'mae_st': (make_mae_st, (64, 16, 'separable', 'separable', 'own', 'linspace')),
    'mae_st joint': (
        lambda: make_mae_st(separable=False),
        (64, 16, 'joint', 'joint', 'own', 'linspace'),
    ),
    'pyslowfast': (make_pyslowfast, (128, 2, 'separable', 'joint', 'encoder', 'stride')),
    'pyslowfast separable decoder': (
        lambda: make_pyslowfast(separable=True),
        (128, 2, 'separable', 'separable', 'encoder', 'stride'),
    ),
}


@pytest.mark.parametrize('name', PAIRS)
def test_pretraining_outputs_and_gradients(name, record_property):
    make, arguments = PAIRS[name]
    theirs = randomise(make())
    weights = to_ours(Checkpoint(theirs.state_dict()))
    assert weights.source == name.split()[0] and not weights.left_out
    ours = masked_autoencoder(*arguments)
    ours.load_state_dict(weights.state)
    clips, ids_keep = clips_and_ids()

    loss, pred, latent = theirs(clips, ids_keep)
    loss.backward()
    seen = []
    ours.head.register_forward_hook(lambda module, args, output: seen.append(output))
    our_loss = ours.loss(clips, ids_keep)['loss']
    our_loss.backward()

    removed = removed_ids(ids_keep, NUM_TOKENS)
    wanted_pred = pred.gather(1, removed[..., None].expand(-1, -1, pred.shape[2]))
    gradients = {n: p.grad for n, p in theirs.named_parameters()}
    wanted_gradients = to_ours(Checkpoint(gradients)).state
    our_gradients = {n: p.grad for n, p in ours.named_parameters()}
    assert wanted_gradients.keys() == our_gradients.keys()
    errors = {
        'latent': relative_error(ours.backbone(clips, ids_keep), latent),
        'prediction': relative_error(seen[0], wanted_pred),
        'loss': relative_error(our_loss, loss),
    }
    for parameter, gradient in our_gradients.items():
        kind = 'gradient of ' + re.sub(r'\.\d+\.', '.*.', parameter)
        error = relative_error(gradient, wanted_gradients[parameter])
        errors[kind] = max(error, errors.get(kind, 0.0))
    record_property('errors', errors)
    assert max(errors.values()) < TOLERANCE, errors


def test_pyslowfast_with_hog():
    """Filters of the target are left out; predictions and loss are theirs."""
    size = dict(img_size=32, num_frames=4, patch_size=16)
    encoder = dict(ENCODER, **size)
    theirs = randomise(PySlowFastPretrain(128, 2, encoder=encoder, values=4 * 27))
    sobel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]).repeat(3, 1, 1, 1)
    filters = {'hogs.0.weight_x': sobel, 'hogs.0.weight_y': sobel.transpose(2, 3)}
    weights = to_ours(Checkpoint(theirs.state_dict() | filters))
    assert weights.left_out == list(filters)
    head = weights.config['head']
    assert (head['target'], head['frames']) == ('hog', 'stride')
    arch = dict(embed_dims=WIDTH, depth=DEPTH, num_heads=HEADS)
    ours = SpatiotemporalMAE(
        backbone=dict(weights.config['backbone'], type=SpacetimeViT, arch=arch, **size),
        decoder=dict(weights.config['decoder'], type=MAEDecoder, **size),
        head=dict(head, type=MAEHead),
    )
    ours.load_state_dict(weights.state)
    clips, ids_keep = clips_and_ids()[0][:1, :, :4], torch.tensor([[1, 6]])
    pred, _ = theirs.predict(clips, ids_keep)
    target = torch.from_numpy(plain_hog_patches(clips[0, :, ::2].numpy(), 16))
    removed = removed_ids(ids_keep, 8)[0]
    wanted = (pred[0, removed] - target[removed]).square().mean()
    assert relative_error(ours.loss(clips, ids_keep)['loss'], wanted) < TOLERANCE


@pytest.mark.parametrize('make', [MaeStClassifier, PySlowFastClassifier])
def test_fine_tuned_classifiers(make):
    theirs = randomise(make(encoder=ENCODER, num_classes=7))
    weights = to_ours(Checkpoint(theirs.state_dict()))
    heads = {n: weights.state.pop(n) for n in list(weights.state) if n.startswith('cls_head.')}
    assert sorted(heads) == ['cls_head.fc_cls.bias', 'cls_head.fc_cls.weight']
    ours = SpacetimeViT(
        dict(embed_dims=WIDTH, depth=DEPTH, num_heads=HEADS), out_type='pooled', **SIZE
    )
    ours.load_state_dict({n.removeprefix('backbone.'): t for n, t in weights.state.items()})
    clips, _ = clips_and_ids()
    logits = torch.nn.functional.linear(
        ours(clips), heads['cls_head.fc_cls.weight'], heads['cls_head.fc_cls.bias']
    )
    assert relative_error(logits, theirs(clips)) < TOLERANCE


@pytest.mark.parametrize('separable', [True, False])
def test_back_to_mae_st(separable):
    """Our random weights run in the reference of mae_st with the same result."""
    pos_embed = 'separable' if separable else 'joint'
    ours = randomise(masked_autoencoder(64, 16, pos_embed, pos_embed, 'own', 'linspace'), seed=3)
    weights = to_ours(Checkpoint(ours.state_dict()))
    state, left_out = to_mae_st(weights)
    theirs = make_mae_st(separable=separable)
    theirs.load_state_dict(state)
    assert not left_out
    clips, ids_keep = clips_and_ids()
    loss, _, latent = theirs(clips, ids_keep)
    loss.backward()
    our_loss = ours.loss(clips, ids_keep)['loss']
    our_loss.backward()
    assert relative_error(latent, ours.backbone(clips, ids_keep)) < TOLERANCE
    assert relative_error(loss, our_loss) < TOLERANCE
    gradients, _ = to_mae_st(to_ours(Checkpoint({n: p.grad for n, p in ours.named_parameters()})))
    for name, param in theirs.named_parameters():
        if name.endswith('attn.k.bias'):  # shifts every score alike: its gradient is rounding
            assert max(gradients[name].abs().max(), param.grad.abs().max()) < 1e-7
        else:
            assert relative_error(gradients[name], param.grad) < TOLERANCE, name
    again = to_ours(Checkpoint(state)).state
    assert again.keys() == weights.state.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in weights.state.items())


def test_back_to_mae_st_leaves_out_a_decoder_it_cannot_run():
    theirs = randomise(make_pyslowfast())
    state, left_out = to_mae_st(to_ours(Checkpoint(theirs.state_dict())))
    assert left_out and all(name.startswith(('decoder.', 'head.')) for name in left_out)
    encoder = {n: t for n, t in make_mae_st().state_dict().items() if 'decoder' not in n}
    encoder.pop('mask_token')
    assert {n: t.shape for n, t in state.items()} == {n: t.shape for n, t in encoder.items()}


HUGGINGFACE = {  # VideoMAE's own name to Hugging Face's
    'patch_embed.proj.': 'embeddings.patch_embeddings.projection.',
    'blocks.': 'encoder.layer.',
    'norm1.': 'layernorm_before.',
    'norm2.': 'layernorm_after.',
    'attn.proj.': 'attention.output.dense.',
    'attn.q_bias': 'attention.attention.q_bias',
    'attn.v_bias': 'attention.attention.v_bias',
    'mlp.fc1.': 'intermediate.dense.',
    'mlp.fc2.': 'output.dense.',
    'norm.': 'layernorm.',
}


def as_huggingface(state):
    result = {}
    for name, tensor in state.items():
        if name.endswith('attn.qkv.weight'):
            owner = 'encoder.layer.' + name.split('.')[1] + '.attention.attention.'
            for part, matrix in zip(('query', 'key', 'value'), tensor.chunk(3), strict=True):
                result[f'videomae.{owner}{part}.weight'] = matrix
            continue
        for old, new in HUGGINGFACE.items():
            name = name.replace(old, new)
        result[f'videomae.{name}'] = tensor
    return result | {'encoder_to_decoder.weight': torch.ones(8, WIDTH), 'mask_token': torch.ones(8)}


@pytest.mark.parametrize('naming', ['pretrain', 'fine-tuned', 'huggingface'])
def test_videomae_encoder(naming):
    theirs = randomise(VideoMAEEncoder(WIDTH, DEPTH, HEADS, num_tokens=1568))
    state = theirs.state_dict()
    if naming == 'pretrain':
        state = {f'encoder.{n}': t for n, t in state.items()} | {'decoder.head.bias': torch.ones(4)}
    elif naming == 'fine-tuned':
        state = {n.replace('norm.', 'fc_norm.') if n.startswith('norm.') else n: t
                 for n, t in state.items()}  # fmt: skip
    else:
        state = as_huggingface(state)
    weights = to_ours(Checkpoint(state))
    arguments = dict(weights.config['backbone'])
    eps = arguments.pop('norm_eps', 1e-6)
    assert eps == (1e-12 if naming == 'huggingface' else 1e-6)
    assert arguments.pop('arch') == dict(embed_dims=WIDTH, depth=DEPTH, num_heads=None)
    assert (arguments['pos_embed'], arguments['with_cls_token']) == ('joint', False)
    ours = SpacetimeViT(dict(embed_dims=WIDTH, depth=DEPTH, num_heads=HEADS), **arguments)
    ours.load_state_dict({n.removeprefix('backbone.'): t for n, t in weights.state.items()})
    key_bias = ours.blocks[0].attn.qkv.bias.chunk(3)[1]
    assert torch.equal(key_bias, torch.zeros_like(key_bias))
    assert all('.' in name or name == 'mask_token' for name in weights.left_out)
    clips = torch.randn(2, 3, 16, 224, 224, generator=torch.Generator().manual_seed(2))
    ids = torch.arange(0, 1568, 49).repeat(2, 1) + torch.tensor([[0], [7]])
    assert relative_error(ours(clips, ids), theirs(clips, ids)) < TOLERANCE


def test_videomae_of_mmaction2():
    pytest.importorskip('mmaction')
    importlib.import_module('mmmae_st.compat.mmaction')  # first: it mends mmaction2's import
    module = importlib.import_module('mmaction.models.backbones.vit_mae')
    arguments = dict(embed_dims=WIDTH, depth=DEPTH, num_heads=HEADS)
    size = dict(img_size=64, num_frames=16)
    theirs = randomise(module.VisionTransformer(qkv_bias=True, **size, **arguments))
    state = {f'backbone.{n}': t for n, t in theirs.state_dict().items()}
    weights = to_ours(Checkpoint(state | {'cls_head.fc_cls.bias': torch.ones(3)}))
    assert weights.source == 'videomae' and 'cls_head.fc_cls.bias' in weights.state
    arguments = dict(arch=arguments, pos_embed='joint', with_cls_token=False)
    ours = SpacetimeViT(**arguments, **size, out_type='pooled')
    ours.load_state_dict(
        {n.removeprefix('backbone.'): t for n, t in weights.state.items() if 'cls_head' not in n}
    )
    clips = torch.randn(1, 3, 16, 64, 64, generator=torch.Generator().manual_seed(2))
    assert relative_error(ours(clips), theirs(clips)) < TOLERANCE


def image_model(num_classes=0):
    model = timm.create_model(
        'vit_large_patch16_224',
        embed_dim=WIDTH,
        depth=DEPTH,
        num_heads=HEADS,
        patch_size=8,
        img_size=32,
        num_classes=num_classes,
    )
    return randomise(model.eval())


def test_image_mae_is_inflated():
    """One tubelet of equal frames gives what the 2-D model gives for the image."""
    theirs = image_model(num_classes=5)
    state = theirs.state_dict() | {'decoder_embed.weight': torch.ones(4, WIDTH)}
    weights = to_ours(Checkpoint(state))
    assert sorted(weights.left_out) == ['decoder_embed.weight', 'head.bias', 'head.weight']
    assert torch.equal(weights.state['backbone.pos_embed.temporal'], torch.zeros(1, 8, WIDTH))
    ours = SpacetimeViT(dict(embed_dims=WIDTH, depth=DEPTH, num_heads=HEADS), **SIZE)
    ours.load_state_dict({n.removeprefix('backbone.'): t for n, t in weights.state.items()})
    image = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    still = image[:, :, None].repeat(1, 1, 2, 1, 1)
    assert relative_error(ours(still), theirs.forward_features(image)) < TOLERANCE
    longer = ours.patch_embed(still.repeat(1, 1, 8, 1, 1))
    assert relative_error(longer, ours.patch_embed(still).repeat(1, 8, 1)) < TOLERANCE


def test_deflation_to_timm():
    """Loaded strictly; the image model gives what the clip model gives for one tubelet."""
    ours = SpacetimeViT(dict(embed_dims=WIDTH, depth=DEPTH, num_heads=HEADS), **SIZE)
    randomise(ours, seed=5)
    state, left_out = to_timm(to_ours(Checkpoint(ours.state_dict())))
    assert not left_out
    image = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    theirs = image_model()
    theirs.load_state_dict(state)
    still = image[:, :, None].repeat(1, 1, 2, 1, 1)
    assert relative_error(theirs.forward_features(image), ours(still)) < TOLERANCE


def test_deflation_matches_every_key_of_vit_large():
    with torch.device('meta'):
        ours = SpacetimeViT('large')
        theirs = timm.create_model('vit_large_patch16_224', num_classes=0)
    state, left_out = to_timm(to_ours(Checkpoint(ours.state_dict())))
    wanted = {name: tensor.shape for name, tensor in theirs.state_dict().items()}
    assert {name: tensor.shape for name, tensor in state.items()} == wanted
    assert wanted['pos_embed'] == (1, 197, 1024) and not left_out


def test_what_a_target_cannot_hold_is_refused():
    def weights(**arguments):
        ours = SpacetimeViT(dict(embed_dims=8, depth=1, num_heads=2), **SIZE, **arguments)
        return to_ours(Checkpoint(ours.state_dict()))

    with pytest.raises(ValueError, match=r'pos_embed\.spatial'):
        to_timm(weights(pos_embed='joint'))
    with pytest.raises(ValueError, match='cls_token'):
        to_timm(weights(with_cls_token=False))
    with pytest.raises(ValueError, match='sincos'):
        to_mae_st(weights(pos_embed='sincos'))
    with pytest.raises(ValueError, match='with_mask_token'):
        to_mae_st(weights(with_mask_token=True))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda s: s.pop('blocks.0.attn.k.bias'), r"blocks\.0\.attn has no bias for \['k'\]"),
        (lambda s: s.pop('blocks.0.mlp.fc2.bias'), r'1 of 28 .* missing: backbone.blocks.0.mlp'),
        (lambda s: s.pop('pos_embed_class'), 'missing: backbone.pos_embed.cls'),
        (lambda s: s.update({'blocks.0.attn.rel_pos_h': torch.ones(1)}), r'no plain .*rel_pos_h'),
        (lambda s: s.update({'norm_stem.weight': torch.ones(1)}), r'no plain .*norm_stem'),
        (lambda s: s.pop('patch_embed.proj.weight'), "begin with \\['blocks', 'cls_token'"),
    ],
)
def test_incomplete_and_other_models_are_refused(change, message):
    state = MaeStClassifier(encoder=ENCODER, num_classes=3).state_dict()
    change(state)
    with pytest.raises(ValueError, match=message):
        to_ours(Checkpoint(state))


def test_biases_are_never_made_up():
    state = VideoMAEEncoder(WIDTH, DEPTH, HEADS, num_tokens=4).state_dict()
    del state['blocks.1.attn.q_bias']
    with pytest.raises(ValueError, match=r"blocks\.1\.attn has no bias for \['q', 'k'\]"):
        to_ours(Checkpoint(state))
    state = make_pyslowfast().state_dict()
    del state['blocks.1.attn.qkv.bias']
    with pytest.raises(ValueError, match=r'missing: backbone\.blocks\.1\.attn\.qkv\.bias'):
        to_ours(Checkpoint(state))
