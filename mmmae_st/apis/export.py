"""The encoder as a program for other runtimes, with outputs compared.

Dimensions: B clips, C channels, T H W frames and pixels.
"""

import copy
import importlib.util
import warnings
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor, nn

from mmmae_st.fileio.atomic_file import written_whole
from mmmae_st.models import ClipDataPreprocessor, SpacetimeViT

FORMATS = {'.pt2': 'torch.export', '.onnx': 'ONNX'}
ONNX_PACKAGES = ('onnx', 'onnxruntime', 'onnxscript')  # of requirements/export.in
OUTPUTS = ('pooled', 'tokens', 'featmap')
TOLERANCE = 1e-4  # largest difference over the largest output


class ExportedEncoder(nn.Module):
    """uint8 clips to features: normalisation and encoder in one module.

    Args:
        encoder: The encoder; a copy is taken.
        preprocessor: Its mean and deviation are used.
        output: ``out_type`` of the encoder: ``'pooled'`` (B, D), ``'tokens'`` or ``'featmap'``.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, encoder: SpacetimeViT, preprocessor: ClipDataPreprocessor, output: str
    ) -> None:
        super().__init__()
        if output not in OUTPUTS:
            raise ValueError(f'output must be one of {OUTPUTS}, got {output!r}')
        self.encoder = copy.deepcopy(encoder)
        self.encoder.out_type = output
        self.register_buffer('mean', preprocessor.mean.clone())
        self.register_buffer('std', preprocessor.std.clone())

    def forward(self, clips: Tensor) -> Tensor:
        """Features of clips (B, C, T, H, W) uint8 RGB."""
        return self.encoder((clips.float() - self.mean) / self.std)


def export_encoder(model: ExportedEncoder, path: str | Path, clip: tuple[int, int, int]) -> float:
    """Write the encoder and compare what the written file gives with what the model gives.

    The size of the clip is fixed, the number of clips is free.

    Args:
        model: The model, on the CPU, in eval mode.
        path: File to write: ``.pt2`` for ``torch.export``, ``.onnx`` for ONNX.
        clip: Frames, height and width.

    Returns:
        The largest difference of an output over the largest output, for batches of 1 and 3.

    Raises:
        ValueError: If the suffix is unknown, a package is missing, or the outputs differ by more
            than ``TOLERANCE``; the file is then removed.
        OSError: If the file cannot be written.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise ValueError(f'the file must end in one of {tuple(FORMATS)}, got {path.name!r}')
    if path.suffix == '.onnx':
        missing = [name for name in ONNX_PACKAGES if not _is_there(name)]
        if missing:
            raise ValueError(
                f'ONNX needs {", ".join(missing)}: pip install {" ".join(missing)} (the extra '
                "'export' brings them)"
            )
    with written_whole(path) as temporary:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # PyTorch's, about itself
            _write(model, temporary, clip)
        difference = max(_difference(model, temporary, batch, clip) for batch in (1, 3))
        if not difference <= TOLERANCE:
            raise ValueError(
                f'{path} gave outputs that differ by {difference:.2g} of the largest, more than '
                f'{TOLERANCE}; it is removed'
            )
    return difference


def run_exported(path: str | Path, clips: Tensor) -> Tensor:
    """Features that an exported file gives for clips (B, C, T, H, W) uint8."""
    if Path(path).suffix == '.pt2':
        with torch.no_grad():
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')  # PyTorch's, about itself
                program = torch.export.load(path)
            return program.module()(clips)
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: clips.numpy()})[0])


def _write(model: ExportedEncoder, path: Path, clip: tuple[int, int, int]) -> None:
    example = torch.randint(0, 256, (2, 3, *clip), dtype=torch.uint8)
    program = torch.export.export(
        model,
        (example,),
        dynamic_shapes=({0: torch.export.Dim('batch')},),
    )
    if path.suffix == '.pt2':
        content = BytesIO()  # PyTorch's own writer aborts the process on a full disk
        torch.export.save(program, content)
        path.write_bytes(content.getbuffer())
        return
    torch.onnx.export(
        program,
        (),
        path,
        input_names=['clips'],
        output_names=['features'],
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def _difference(
    model: ExportedEncoder, path: Path, batch: int, clip: tuple[int, int, int]
) -> float:
    generator = torch.Generator().manual_seed(batch)
    clips = torch.randint(0, 256, (batch, 3, *clip), dtype=torch.uint8, generator=generator)
    with torch.no_grad():
        expected = model(clips)
    return float((run_exported(path, clips) - expected).abs().max() / expected.abs().max())


def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
