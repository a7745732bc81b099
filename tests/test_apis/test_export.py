from pathlib import Path

import pytest
import torch
from support.tiny_checkpoint import write_tiny_checkpoint
from torch import nn

from mmmae_st.apis import export
from mmmae_st.apis.export import ExportedEncoder, export_encoder, run_exported
from mmmae_st.apis.load import load_autoencoder, load_encoder

CLIP = (8, 32, 32)


@pytest.fixture(scope='module')
def parts(tmp_path_factory):
    path = tmp_path_factory.mktemp('export') / 'a.pth'
    write_tiny_checkpoint(path)
    return load_encoder(path)


@pytest.mark.parametrize(
    ('suffix', 'output', 'shape'),
    [
        ('.pt2', 'pooled', (32,)),
        ('.onnx', 'pooled', (32,)),
        ('.onnx', 'featmap', (32, 4, 4, 4)),
    ],
)
def test_written_file_gives_what_the_model_gives(tmp_path, parts, suffix, output, shape):
    if suffix == '.onnx':
        for package in ('onnx', 'onnxscript', 'onnxruntime'):
            pytest.importorskip(package)
    path = tmp_path / f'encoder{suffix}'
    model = ExportedEncoder(*parts, output).eval()
    assert export_encoder(model, path, CLIP) < 1e-5
    clips = torch.randint(0, 256, (5, 3, *CLIP), dtype=torch.uint8)
    found = run_exported(path, clips)
    assert found.shape == (5, *shape)
    normalised = (clips.float() - 114.75) / 57.375
    encoder = model.encoder
    assert encoder.out_type == output and parts[0].out_type == 'tokens'
    with torch.no_grad():
        torch.testing.assert_close(found, encoder(normalised), rtol=1e-4, atol=1e-5)


class Autoencoder(nn.Module):
    """Predictions of the masked autoencoder from clips and kept patches."""

    def __init__(self, path):
        super().__init__()
        self.model = load_autoencoder(path)

    def forward(self, clips, ids_keep, ids_predict):
        grid = self.model.backbone.token_grid(clips)
        features = self.model.encode_decode(
            clips, ids_keep, ids_predict, grid=grid, num_outputs=ids_predict.shape[1]
        )
        return self.model.head(features)


def by_export(model, inputs):
    batch = torch.export.Dim('batch')
    shapes = tuple({0: batch} for _ in inputs)
    return torch.export.export(model, inputs, dynamic_shapes=shapes).module()


def by_tracing(model, inputs):
    return torch.jit.trace(model, inputs)


@pytest.mark.filterwarnings('ignore::DeprecationWarning', 'ignore::torch.jit.TracerWarning')
@pytest.mark.parametrize('make', [by_export, by_tracing])
@pytest.mark.parametrize('kind', ['encoder', 'autoencoder'])
@torch.no_grad()
def test_programs_take_any_number_of_clips(tmp_path, make, kind):
    """Made from two clips, they give for five what the model gives."""
    write_tiny_checkpoint(tmp_path / 'a.pth')
    if kind == 'encoder':
        model = load_encoder(tmp_path / 'a.pth')[0]
        size, ids = (3, *CLIP), ()
    else:
        model = Autoencoder(tmp_path / 'a.pth').eval()
        size, ids = (3, *CLIP), (torch.arange(0, 64, 8), torch.arange(1, 64, 8))

    def inputs(number):
        clips = torch.randn(number, *size, generator=torch.Generator().manual_seed(number))
        return clips, *(each.repeat(number, 1) for each in ids)

    program = make(model, inputs(2))
    for number in (1, 2, 5):
        found = program(*inputs(number))
        torch.testing.assert_close(found, model(*inputs(number)), rtol=1e-4, atol=1e-5)


def test_extra_brings_what_onnx_needs():
    requirements = Path(__file__).parents[2] / 'requirements' / 'export.in'
    assert sorted(requirements.read_text().split()) == sorted(export.ONNX_PACKAGES)


def test_file_that_disagrees_is_removed(tmp_path, parts, monkeypatch):
    monkeypatch.setattr(export, 'run_exported', lambda path, clips: torch.ones(len(clips), 32))
    path = tmp_path / 'encoder.pt2'
    with pytest.raises(ValueError, match='it is removed'):
        export_encoder(ExportedEncoder(*parts, 'pooled').eval(), path, CLIP)
    assert not path.exists()


def test_bad_arguments_are_named(tmp_path, parts, monkeypatch):
    with pytest.raises(ValueError, match='output must be one of'):
        ExportedEncoder(*parts, 'logits')
    model = ExportedEncoder(*parts, 'pooled')
    with pytest.raises(ValueError, match=r"must end in one of .*, got 'encoder\.pb'"):
        export_encoder(model, tmp_path / 'encoder.pb', CLIP)
    monkeypatch.setattr(export, '_is_there', lambda module: module != 'onnxruntime')
    with pytest.raises(ValueError, match=r'ONNX needs onnxruntime: pip install .*export'):
        export_encoder(model, tmp_path / 'encoder.onnx', CLIP)
