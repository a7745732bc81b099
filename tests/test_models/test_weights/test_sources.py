"""Files of other codes in their variants: loaded, they give the same outputs."""

import pytest
import timm
import torch
from references.layers import randomise
from references.mae_st import MaeStClassifier
from references.pyslowfast import PySlowFastClassifier
from references.videomae import VideoMAEClassifier, VideoMAEEncoder
from torch import nn

from mmmae_st.apis.load import load_encoder
from mmmae_st.models import SpacetimeViT
from mmmae_st.models.archs import ARCHS
from mmmae_st.models.weights import (
    Checkpoint,
    fit,
    load_pretrained,
    read_checkpoint,
    to_ours,
    to_timm,
)

ARCH = dict(embed_dims=32, depth=2, num_heads=4)
SIZE = dict(img_size=32, num_frames=16, patch_size=8)
REFERENCE = dict(embed_dim=32, depth=2, num_heads=4)


def assert_equal_outputs(found, wanted):
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() / wanted.abs().max() < 1e-5


def clips(num_frames=16, size=32):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 3, num_frames, size, size, generator=generator)


def loaded(path, **arguments):
    model = SpacetimeViT(**{'arch': ARCH, **SIZE, **arguments}).eval()
    return model, load_pretrained(model, path)


TIMM = {
    'plain': dict(),
    'class token without position': dict(no_embed_class=True),
    'no bias of queries, keys and values': dict(qkv_bias=False),
    'patch 16': dict(patch_size=16),
    'norm after pooling': dict(global_pool='avg'),
    'no class token': dict(class_token=False, global_pool='avg'),
}


@pytest.mark.parametrize('kind', TIMM)
@torch.no_grad()
def test_image_models_of_timm(tmp_path, kind):
    arguments = dict(img_size=32, patch_size=8, num_classes=0) | TIMM[kind]
    theirs = randomise(timm.models.VisionTransformer(**REFERENCE, **arguments).eval())
    torch.save(theirs.state_dict(), tmp_path / 'a.pth')
    pooled = arguments.get('global_pool') == 'avg'
    ours, _ = loaded(
        tmp_path / 'a.pth',
        patch_size=arguments['patch_size'],
        with_cls_token=arguments.get('class_token', True),
        out_type='pooled' if pooled else 'tokens',
    )
    image = clips()[:, :, 0]
    wanted = theirs(image) if pooled else theirs.forward_features(image)
    assert_equal_outputs(ours(image[:, :, None].repeat(1, 1, 2, 1, 1)), wanted)


@pytest.mark.parametrize(
    ('arguments', 'names'),
    [
        (dict(reg_tokens=4), 'reg_token'),
        (dict(pre_norm=True), 'norm_pre'),
        (dict(init_values=1.0), 'ls1'),
    ],
)
def test_other_image_models_are_refused(tmp_path, arguments, names):
    theirs = timm.models.VisionTransformer(**REFERENCE, img_size=32, patch_size=8, **arguments)
    torch.save(theirs.state_dict(), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match=f'of no plain vision transformer .*{names}'):
        loaded(tmp_path / 'a.pth')


@torch.no_grad()
def test_deflation_for_pooled_tokens():
    """timm's ``global_pool='avg'`` norms the mean, as our ``out_type='pooled'``."""
    ours = randomise(SpacetimeViT(ARCH, **SIZE, out_type='pooled'))
    state, left_out = to_timm(to_ours(Checkpoint(ours.state_dict())), global_pool='avg')
    assert not left_out
    sizes = dict(img_size=32, patch_size=8, num_classes=0)
    theirs = timm.models.VisionTransformer(**REFERENCE, **sizes, global_pool='avg').eval()
    theirs.load_state_dict(state)
    image = clips()[:, :, 0]
    assert_equal_outputs(theirs(image), ours(image[:, :, None].repeat(1, 1, 2, 1, 1)))


def classifier(path):
    """Encoder and linear layer by what the file tells."""
    weights = to_ours(read_checkpoint(path))
    backbone = dict(weights.config['backbone'], arch=ARCH)
    ours = SpacetimeViT(**backbone).eval()
    ours.load_state_dict(
        {k.removeprefix('backbone.'): v for k, v in weights.state.items() if 'cls_head' not in k}
    )
    head = nn.Linear(32, 5)
    head.load_state_dict({k: weights.state[f'cls_head.fc_cls.{k}'] for k in ('weight', 'bias')})
    return weights, nn.Sequential(ours, head)


@pytest.mark.parametrize('mean', [True, False])
@torch.no_grad()
def test_pooling_of_pyslowfast_is_told_by_its_config(tmp_path, mean):
    theirs = PySlowFastClassifier(encoder=REFERENCE | SIZE, num_classes=5, use_mean_pooling=mean)
    text = f'MVIT:\n  CLS_EMBED_ON: true\n  USE_MEAN_POOLING: {str(mean).lower()}\n'
    content = {'model_state': randomise(theirs).state_dict(), 'cfg': text}
    torch.save(content, tmp_path / 'a.pyth')
    weights, ours = classifier(tmp_path / 'a.pyth')
    assert weights.config['backbone']['out_type'] == ('pooled' if mean else 'first')
    assert_equal_outputs(ours(clips()), theirs(clips()))
    del content['cfg']
    torch.save(content, tmp_path / 'a.pyth')
    assert to_ours(read_checkpoint(tmp_path / 'a.pyth')).config['backbone']['out_type'] is None


@pytest.mark.parametrize('arch', ['small', 'base', 'large', 'huge', 'giant'])
def test_sizes_of_videomae_v2_are_known_by_name(arch):
    width, depth, heads = ARCHS[arch]
    shape = dict(patch_size=14, mlp_ratio=48 / 11) if arch == 'giant' else {}
    with torch.device('meta'):
        theirs = VideoMAEEncoder(width, depth, heads, 1, **shape)
        weights = to_ours(Checkpoint(theirs.state_dict()))
        ours = SpacetimeViT(**weights.config['backbone'])
    assert weights.config['backbone']['arch'] == arch
    assert fit(ours, weights)[1].is_complete()


@pytest.mark.parametrize('naming', ['encoder.', '', 'model.'])
@torch.no_grad()
def test_videomae_v2_of_the_shape_of_vit_g(tmp_path, naming):
    """Patches of 14 pixels and 48/11 as ratio of the layers, by the names of all its files."""
    sizes = dict(embed_dim=88, depth=2, num_heads=4, num_tokens=2048)
    shape = dict(patch_size=14, mlp_ratio=48 / 11)
    theirs = randomise(VideoMAEClassifier(**sizes, **shape, num_classes=5))
    state = {f'{naming}{name}': tensor for name, tensor in theirs.state_dict().items()}
    if naming == 'encoder.':  # pretraining
        state = {n.replace('fc_norm', 'norm'): t for n, t in state.items() if 'head' not in n}
        state |= {'decoder.norm.weight': torch.ones(8), 'mask_token': torch.ones(1, 1, 8)}
    torch.save({'module': state}, tmp_path / 'a.pth')
    arguments = dict(img_size=224, pos_embed='joint', with_cls_token=False, out_type='pooled')
    arch = dict(embed_dims=88, depth=2, num_heads=4)
    ours, _ = loaded(tmp_path / 'a.pth', arch=arch, **shape, **arguments)
    wanted = theirs.fc_norm(theirs.encode(clips(size=224)).mean(dim=1))
    assert_equal_outputs(ours(clips(size=224)), wanted)
    config = to_ours(read_checkpoint(tmp_path / 'a.pth')).config['backbone']
    again = SpacetimeViT(**dict(config, arch=arch))
    assert again.blocks[0].mlp.fc1.out_features == 384


@pytest.mark.parametrize('mean', [True, False])
@torch.no_grad()
def test_pooling_of_videomae_is_told_by_its_norm(tmp_path, mean):
    theirs = randomise(VideoMAEClassifier(**REFERENCE, num_classes=5, use_mean_pooling=mean))
    torch.save({'module': theirs.state_dict()}, tmp_path / 'a.pth')
    weights, ours = classifier(tmp_path / 'a.pth')
    assert weights.config['backbone']['out_type'] == ('pooled' if mean else 'first')
    assert_equal_outputs(ours(clips(size=224)), theirs(clips(size=224)))


def test_classifiers_that_pool_otherwise_are_left_out():
    """mae_st leaves out the first patch, also where there is no class token."""
    state = MaeStClassifier(encoder=REFERENCE | SIZE, num_classes=5).state_dict()
    del state['cls_token'], state['pos_embed_class']
    weights = to_ours(Checkpoint(state))
    assert sorted(weights.left_out) == ['cls_head.fc_cls.bias', 'cls_head.fc_cls.weight']
    assert 'pools the tokens' in weights.notes[0] and 'out_type' not in weights.config['backbone']


@pytest.mark.parametrize(('num_frames', 'size'), [(32, 224), (16, 160), (8, 224)])
@torch.no_grad()
def test_fixed_table_of_videomae_is_made_for_other_clips(tmp_path, num_frames, size):
    num_tokens = num_frames // 2 * (size // 16) ** 2
    theirs = randomise(VideoMAEEncoder(**REFERENCE, num_tokens=num_tokens))
    torch.save({'model': theirs.state_dict()}, tmp_path / 'a.pth')
    arguments = dict(patch_size=16, pos_embed='joint', with_cls_token=False)
    ours, report = loaded(tmp_path / 'a.pth', num_frames=num_frames, img_size=size, **arguments)
    assert report.reshaped['pos_embed.joint'].startswith('computed for')
    ids = torch.arange(0, num_tokens, 7).repeat(2, 1)
    assert_equal_outputs(ours(clips(num_frames, size), ids), theirs(clips(num_frames, size), ids))


@pytest.mark.parametrize(
    ('num_frames', 'args', 'found'),
    [
        (32, {}, 32),
        (8, {}, 8),
        (16, {}, 16),
        (64, dict(num_frames=64), 64),
        (64, dict(DATA=dict(NUM_FRAMES=64)), 64),
    ],
)
def test_joint_tables_of_other_lengths(num_frames, args, found):
    with torch.device('meta'):
        ours = SpacetimeViT(ARCH, num_frames=num_frames, pos_embed='joint')
        theirs = dict(ours.state_dict())
        joint = torch.cat([theirs.pop('pos_embed.cls'), theirs.pop('pos_embed.joint')], dim=1)
    config = to_ours(Checkpoint(theirs | {'pos_embed': joint}, args)).config['backbone']
    assert (config['num_frames'], config['img_size']) == (found, 224)


@torch.no_grad()
def test_encoders_without_a_final_norm(tmp_path):
    """As VideoMAE of transformers before fine-tuning: a norm that follows pooling is a new one."""
    theirs = randomise(VideoMAEEncoder(**REFERENCE, num_tokens=1568))
    state = {n: t for n, t in theirs.state_dict().items() if not n.startswith('norm.')}
    torch.save(state, tmp_path / 'a.pth')
    arguments = dict(img_size=224, patch_size=16, pos_embed='joint', with_cls_token=False)
    for out_type in ('pooled', 'featmap', 'first'):
        _, report = loaded(tmp_path / 'a.pth', out_type=out_type, **arguments)
        assert report.fresh == ['norm.weight', 'norm.bias']
        assert 'not in the file, to be trained: norm.weight, norm.bias' in str(report)
    with pytest.raises(ValueError, match=r"no final norm.*out_type='raw' gives its tokens"):
        loaded(tmp_path / 'a.pth', **arguments)
    theirs.norm = nn.Identity()
    ids = torch.arange(0, 1568, 7).repeat(2, 1)
    ours, _ = loaded(tmp_path / 'a.pth', out_type='raw', **arguments)
    assert_equal_outputs(ours(clips(size=224), ids), theirs(clips(size=224), ids))


@torch.no_grad()
def test_features_of_an_encoder_without_a_final_norm(tmp_path):
    arch = dict(embed_dim=192, depth=12, num_heads=3)
    state = VideoMAEEncoder(**arch, num_tokens=1).state_dict()
    torch.save({n: t for n, t in state.items() if not n.startswith('norm.')}, tmp_path / 'a.pth')
    encoder, _ = load_encoder(tmp_path / 'a.pth')
    assert encoder.out_type == 'raw'


@pytest.mark.parametrize('naming', ['pretrain', 'fine-tuned', 'mmaction2', 'Hugging Face'])
@torch.no_grad()
def test_videomae_without_biases_of_queries_and_values(tmp_path, naming):
    theirs = randomise(VideoMAEEncoder(**REFERENCE, num_tokens=1568, qkv_bias=False))
    state = theirs.state_dict()
    if naming == 'pretrain':
        state = {f'encoder.{n}': t for n, t in state.items()}
    elif naming == 'Hugging Face':  # files of VideoMAE V2
        state = {f'model.{n}': t for n, t in state.items()}
    elif naming == 'mmaction2':
        state = {
            'backbone.'
            + n.replace('embed.proj', 'embed.projection')
            .replace('mlp.fc1', 'mlp.layers.0.0')
            .replace('mlp.fc2', 'mlp.layers.1'): t
            for n, t in state.items()
        }
    torch.save(state, tmp_path / 'a.pth')
    arguments = dict(img_size=224, patch_size=16, pos_embed='joint', with_cls_token=False)
    ours, _ = loaded(tmp_path / 'a.pth', **arguments)
    ids = torch.arange(0, 1568, 7).repeat(2, 1)
    assert_equal_outputs(ours(clips(size=224), ids), theirs(clips(size=224), ids))
