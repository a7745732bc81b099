import pytest
import torch
from support.tiny_checkpoint import write_tiny_checkpoint

from mmmae_st.apis import export
from mmmae_st.apis.export import ExportedEncoder, export_encoder, run_exported
from mmmae_st.apis.load import load_encoder

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
    with pytest.raises(ValueError, match='pip install onnxruntime'):
        export_encoder(model, tmp_path / 'encoder.onnx', CLIP)
