"""Features of a frozen encoder, extracted once and kept on disk.

Dimensions: N videos, V views of each, L tokens, D width.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from logging import WARNING
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dist import (
    all_gather_object,
    barrier,
    broadcast_object_list,
    get_dist_info,
    is_main_process,
)
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
    list of videos and labels, size and time of their files, the seed, the pipeline, and the
    arguments. (Files behind a file backend have no time; a change there is not noticed.) Several
    processes share the work.

    A video that the dataset replaces because it cannot be read gives the features and the label of
    its replacement; it is named in the log, and tried again the next time.

    Args:
        backbone: Encoder with ``out_type='pooled'`` or ``'featmap'``, on its device.
        preprocessor: Makes the encoder's input from collated clips, on the same device.
        loader: Gives every video once, in any order, with V views; the dataset has labels.
        cache_dir: Folder of all caches.
        token_grid: For feature maps: average them to (t, h, w) tokens before they are kept.
        amp: bfloat16 autocast where the hardware has it; ``'force'`` everywhere.

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
    key = [_digest(backbone, preprocessor, loader, settings) if is_main_process() else '']
    broadcast_object_list(key)
    folder = Path(cache_dir) / key[0]
    done = folder / 'done.json'
    failed = json.loads(done.read_text())['failed'] if done.exists() else None
    if failed is None:
        text, batches = 'written to', loader
    else:
        text, batches = 'read from', _batches_of(failed, loader)
    print_log(f'Features of {number} videos are {text} {folder}', logger='current')
    if failed is None or failed:

        def compute(batch: dict) -> Tensor:
            return encode(backbone, preprocessor(batch)['inputs'], token_grid, bfloat16)

        barrier()  # every process has seen what is done
        failed = _write(compute, batches, folder, number, again=failed is not None)
        if is_main_process():
            done.write_text(json.dumps(dict(videos=number, settings=settings, failed=failed)))
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


def _batches_of(indices: list[int], loader: DataLoader) -> DataLoader:
    """This process's part of some videos, loaded as ``loader`` does."""
    rank, world_size = get_dist_info()
    return DataLoader(
        loader.dataset,
        loader.batch_size,
        sampler=indices[rank::world_size],
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        worker_init_fn=loader.worker_init_fn,
    )


def _write(
    compute: Callable[[dict], Tensor],
    batches: DataLoader,
    folder: Path,
    num_videos: int,
    again: bool,
) -> list[int]:
    """Write the features of batches into the files of the cache.

    Args:
        compute: Features (B*V, ...) of a batch.
        batches: This process's part of the videos.
        folder: Of the files.
        num_videos: Rows of the files.
        again: Keep the files that are there, and replace the rows of these videos.

    Returns:
        The videos of all processes that could not be read.
    """
    labels = _open(folder / 'labels.npy', (num_videos,), np.dtype(np.int64), again)
    values = None
    failed: list[int] = []
    silent = not is_main_process() or None
    for batch in tqdm(batches, desc='features', unit='batch', disable=silent):
        num_views = batch['inputs'][0].shape[0]
        features = compute(batch)
        rows = features.cpu().numpy().reshape(-1, num_views, *features.shape[1:])
        if values is None:
            shape = num_videos, *rows.shape[1:]
            values = _open(folder / 'values.npy', shape, rows.dtype, again)
        for sample, row in zip(batch['data_samples'], rows, strict=True):
            values[sample.index], labels[sample.index] = row, sample.label
            for path, cause in sample.failures:
                print_log(f'Cannot read {path}: {cause}', logger='current', level=WARNING)
            if sample.failures:
                failed.append(sample.index)
    labels.flush()
    if values is not None:
        values.flush()
    return sorted({index for part in all_gather_object(failed) for index in part})


def _open(path: Path, shape: tuple[int, ...], dtype: np.dtype, again: bool) -> np.memmap:
    """One file for all processes; each writes the rows of its own videos."""
    if not again:
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
    add_encoder(digest, backbone, preprocessor)
    dataset: Any = loader.dataset
    digest.update(f'seed {getattr(dataset, "seed", None)}'.encode())
    for transform in dataset.pipeline.transforms:
        digest.update(f'{type(transform).__name__} {sorted(vars(transform).items())}'.encode())
    for index in range(len(dataset)):
        record = dataset.get_data_info(index)
        path = record['path']
        state = record['stored'] if 'stored' in record else size_and_time(path)
        digest.update(f'{path} {record["label"]} {state}\n'.encode())
    return digest.hexdigest()[:16]


def add_encoder(
    digest: 'hashlib._Hash', backbone: SpacetimeViT, preprocessor: BaseDataPreprocessor
) -> None:
    """Add to a hash all that the features of an encoder depend on, its weights included."""
    for name, tensor in sorted(backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().numpy().tobytes())
    for name, module in backbone.named_modules():  # heads, epsilons, token grids
        plain = {key: value for key, value in vars(module).items() if isinstance(value, PLAIN)}
        digest.update(f'{name} {type(module).__name__} {sorted(plain.items())}'.encode())
    for name, tensor in sorted(preprocessor.named_buffers()):
        digest.update(f'{name} {tensor.flatten().tolist()}'.encode())


def size_and_time(path: str) -> list[tuple[str, int, int]]:
    """Of a video, or of each file of a folder of frames; nothing where there is no local file."""
    try:
        if os.path.isdir(path):
            with os.scandir(path) as files:
                states = sorted((file.name, file.stat()) for file in files)
        else:
            states = [('', os.stat(path))]
    except OSError:
        return []
    return [(name, state.st_size, state.st_mtime_ns) for name, state in states]
