"""Features of a frozen encoder, extracted once and kept on disk.

Dimensions: N videos, V views of each, L tokens, D width.
"""

import hashlib
import json
from dataclasses import dataclass
from logging import WARNING
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log
from mmengine.model import BaseDataPreprocessor
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from mmmae_st.models import SpacetimeViT
from mmmae_st.precision import Amp, use_bfloat16

PLAIN = (bool, int, float, str, tuple)


@dataclass
class Features:
    """Features and labels of a set of videos.

    Attributes:
        values: (N, V, D) float32 pooled features or (N, V, L, D) float16 tokens; on disk.
        labels: (N,) int64.
    """

    values: np.ndarray
    labels: np.ndarray


def extract_features(
    backbone: SpacetimeViT,
    preprocessor: BaseDataPreprocessor,
    loader: DataLoader,
    cache_dir: str | Path,
    token_grid: tuple[int, int, int] | None = None,
    amp: Amp = False,
) -> Features:
    """Run the encoder over a set of videos, or read what it gave the last time.

    The cache is keyed by everything that the features depend on: the encoder with its weights, the
    list of videos and labels, the seed, the pipeline, and the arguments. Several processes share
    the work.

    Args:
        backbone: Encoder with ``out_type='pooled'`` or ``'featmap'``, on its device.
        preprocessor: Makes the encoder's input from collated clips, on the same device.
        loader: Gives every video once, in any order, with V views; the dataset has labels.
        cache_dir: Folder of all caches.
        token_grid: For feature maps: average them to (t, h, w) tokens before they are kept.
        amp: bfloat16 autocast where the hardware has it; ``'force'`` everywhere.

    A video that the dataset replaces because it cannot be read gives the features and the label of
    its replacement; it is named in the log.

    Raises:
        ValueError: If a video has no label, or ``out_type`` and ``token_grid`` do not fit.
    """
    if backbone.out_type not in ('pooled', 'featmap'):
        raise ValueError(f"out_type must be 'pooled' or 'featmap', got {backbone.out_type!r}")
    if token_grid is not None and backbone.out_type == 'pooled':
        raise ValueError(f"token_grid={token_grid} needs out_type='featmap'")
    backbone.eval()
    number = _check_labels(loader)
    bfloat16 = use_bfloat16(amp, next(backbone.parameters()).device)
    settings = [backbone.out_type, token_grid, bfloat16]
    folder = Path(cache_dir) / _digest(backbone, preprocessor, loader, settings)
    done = folder / 'done.json'
    if done.exists():
        print_log(f'Features of {number} videos are read from {folder}', logger='current')
    else:
        print_log(f'Features of {number} videos are written to {folder}', logger='current')
        _write(backbone, preprocessor, loader, folder, token_grid, bfloat16, number)
        barrier()
        if is_main_process():
            done.write_text(json.dumps(dict(videos=number, settings=settings)))
        barrier()
    return Features(np.load(folder / 'values.npy', mmap_mode='r'), np.load(folder / 'labels.npy'))


@torch.inference_mode()
def encode(
    backbone: SpacetimeViT, clips: Tensor, token_grid: tuple[int, int, int] | None, bfloat16: bool
) -> Tensor:
    """Pooled features (B, D) float32, or tokens (B, L, D) float16, of clips (B, C, T, H, W)."""
    with torch.autocast(clips.device.type, dtype=torch.bfloat16, enabled=bfloat16):
        out = backbone(clips)
    if backbone.out_type == 'pooled':
        return out.float()
    if token_grid is not None:
        out = F.adaptive_avg_pool3d(out.float(), token_grid)
    return out.flatten(2).transpose(1, 2).half()


def _write(
    backbone: SpacetimeViT,
    preprocessor: BaseDataPreprocessor,
    loader: DataLoader,
    folder: Path,
    token_grid: tuple[int, int, int] | None,
    bfloat16: bool,
    num_videos: int,
) -> None:
    labels = _open(folder / 'labels.npy', (num_videos,), np.dtype(np.int64))
    values = None
    for batch in tqdm(loader, desc='features', unit='batch', disable=not is_main_process() or None):
        num_views = batch['inputs'][0].shape[0]
        features = encode(backbone, preprocessor(batch)['inputs'], token_grid, bfloat16)
        rows = features.cpu().numpy().reshape(-1, num_views, *features.shape[1:])
        if values is None:
            values = _open(folder / 'values.npy', (num_videos, *rows.shape[1:]), rows.dtype)
        for sample, row in zip(batch['data_samples'], rows, strict=True):
            values[sample.index], labels[sample.index] = row, sample.label
            for path, cause in sample.failures:
                print_log(f'Cannot read {path}: {cause}', logger='current', level=WARNING)
    labels.flush()
    if values is not None:
        values.flush()


def _open(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.memmap:
    """One file for all processes; each writes the rows of its own videos."""
    if is_main_process():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.lib.format.open_memmap(path, 'w+', dtype, shape).flush()
    barrier()
    return np.lib.format.open_memmap(path, 'r+')


def _check_labels(loader: DataLoader) -> int:
    """The number of videos, all of which have labels."""
    dataset: Any = loader.dataset
    for index in range(len(dataset)):
        record = dataset.get_data_info(index)
        if 'label' not in record:
            raise ValueError(
                f'{record["path"]} has no label: give an ann_file with `path label` lines'
            )
    return len(dataset)


def _digest(
    backbone: SpacetimeViT,
    preprocessor: BaseDataPreprocessor,
    loader: DataLoader,
    settings: list,
) -> str:
    digest = hashlib.sha256(repr(settings).encode())
    for name, tensor in sorted(backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().numpy().tobytes())
    for name, module in backbone.named_modules():  # heads, epsilons, token grids
        plain = {key: value for key, value in vars(module).items() if isinstance(value, PLAIN)}
        digest.update(f'{name} {type(module).__name__} {sorted(plain.items())}'.encode())
    for name, tensor in sorted(preprocessor.named_buffers()):
        digest.update(f'{name} {tensor.flatten().tolist()}'.encode())
    dataset: Any = loader.dataset
    digest.update(f'seed {getattr(dataset, "seed", None)}'.encode())
    for transform in dataset.pipeline.transforms:
        digest.update(f'{type(transform).__name__} {sorted(vars(transform).items())}'.encode())
    for index in range(len(dataset)):
        record = dataset.get_data_info(index)
        digest.update(f'{record["path"]} {record["label"]}\n'.encode())
    return digest.hexdigest()[:16]
