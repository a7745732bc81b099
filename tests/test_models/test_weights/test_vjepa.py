"""Files of V-JEPA 2 by Meta's names against a plain reference: equal outputs, also of a part."""

import pytest
import torch
from references.layers import randomise
from references.vjepa import VJEPAEncoder

from mmmae_st.models import SpacetimeViT
from mmmae_st.models.archs import ARCHS
from mmmae_st.models.weights import Checkpoint, fit, load_pretrained, read_checkpoint, to_ours

SIZES = dict(embed_dim=64, depth=2, num_heads=2)
ARCH = dict(embed_dims=64, depth=2, num_heads=2)
ROPE = dict(pos_embed='rope', with_cls_token=False)


def assert_equal_outputs(found, wanted):
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() / wanted.abs().max() < 1e-5


def clips(num_frames=8, height=64, width=64):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 3, num_frames, height, width, generator=generator)


def meta_file(path, state, key='target_encoder'):
    """As Meta's training writes it: the encoder, its average and the predictor."""
    state = {f'module.backbone.{name}': tensor for name, tensor in state.items()}
    others = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    predictor = {'module.backbone.predictor_embed.weight': torch.ones(3, 3)}
    content = {'encoder': others, 'predictor': predictor, 'epoch': 3, key: state}
    torch.save(content, path)
    return path


@pytest.fixture
def reference():
    return randomise(VJEPAEncoder(**SIZES)).eval()


@pytest.mark.parametrize('key', ['target_encoder', 'encoder'])
@pytest.mark.parametrize('size', [(8, 64, 64), (4, 96, 48)])
@torch.no_grad()
def test_encoders_of_meta(tmp_path, reference, key, size):
    path = meta_file(tmp_path / 'vitl.pt', reference.state_dict(), key)
    ours = SpacetimeViT(ARCH, **ROPE).eval()
    assert load_pretrained(ours, path).is_complete()
    assert_equal_outputs(ours(clips(*size)), reference(clips(*size)))
    ids = torch.stack([torch.tensor([0, 5, 6, 11, 17, 29, 30]) + i for i in range(2)])
    assert_equal_outputs(ours(clips(*size), ids), reference(clips(*size), ids))


@torch.no_grad()
def test_encoders_of_torch_hub(tmp_path, reference):
    """``torch.hub`` gives the encoder alone; saved, its names are those of an encoder of ours."""
    torch.save(reference.state_dict(), tmp_path / 'a.pth')
    ours = SpacetimeViT(ARCH, **ROPE).eval()
    load_pretrained(ours, tmp_path / 'a.pth')
    assert_equal_outputs(ours(clips()), reference(clips()))


@pytest.mark.parametrize(
    ('arch', 'ratio'), [('large', 4), ('huge', 4), ('giant_xformers', 48 / 11)]
)
def test_sizes_are_known_by_name(arch, ratio):
    with torch.device('meta'):
        theirs = VJEPAEncoder(*ARCHS[arch], ratio)
        weights = to_ours(Checkpoint(theirs.state_dict(), key='target_encoder'))
        ours = SpacetimeViT(**weights.config['backbone'])
    assert weights.config['backbone']['arch'] == arch
    assert (weights.config['backbone']['img_size'], ours.pos_embed.kind) == (256, 'rope')
    assert fit(ours, weights)[1].is_complete()


@torch.no_grad()
def test_the_table_left_over_in_files_of_v_jepa_2_is_not_read(tmp_path, reference):
    state = reference.state_dict() | {'pos_embed': torch.randn(1, 32 * 16**2, 64)}
    ours = SpacetimeViT(ARCH, **ROPE).eval()
    report = load_pretrained(ours, meta_file(tmp_path / 'a.pt', state))
    assert report.left_out == ['pos_embed']
    assert_equal_outputs(ours(clips()), reference(clips()))


@torch.no_grad()
def test_v_jepa_adds_its_table(tmp_path):
    theirs = randomise(VJEPAEncoder(**SIZES, table=torch.randn(1, 8 * 14**2, 64))).eval()
    path = meta_file(tmp_path / 'vitl16.pth.tar', theirs.state_dict())
    config = to_ours(read_checkpoint(path)).config['backbone']
    assert (config['pos_embed'], config['img_size'], config['num_frames']) == ('joint', 224, 16)
    ours = SpacetimeViT(**dict(config, arch=ARCH)).eval()
    load_pretrained(ours, path)
    ids = torch.arange(0, 1568, 7).repeat(2, 1)
    video = clips(16, 224, 224)
    assert_equal_outputs(ours(video, ids), theirs(video, ids))
    with pytest.raises(ValueError, match=r"pos_embed is 'rope' but the file needs 'joint'"):
        load_pretrained(SpacetimeViT(ARCH, **ROPE), path)


def test_v_jepa_2_1_is_refused_by_name(tmp_path, reference):
    state = reference.state_dict() | {'video_mod_embed': torch.zeros(1, 1, 64)}
    with pytest.raises(ValueError, match='of no plain vision transformer .*video_mod_embed'):
        load_pretrained(SpacetimeViT(ARCH, **ROPE), meta_file(tmp_path / 'a.pt', state))


def test_a_model_without_rotary_positions_is_refused(tmp_path, reference):
    path = meta_file(tmp_path / 'a.pt', reference.state_dict())
    with pytest.raises(ValueError, match=r"pos_embed is 'sincos' but the file needs 'rope'"):
        load_pretrained(SpacetimeViT(ARCH, pos_embed='sincos', with_cls_token=False), path)
