"""Versions, devices and decoders of this machine; or what checkpoints, configs or videos are.

examples:
  mmmae_st info
  mmmae_st info work_dirs/clips_tiny/epoch_11.pth finetune/vitl_k400 clip.mp4
"""

import os
import platform
import textwrap
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine.config import Config

from mmmae_st.analysis.cost import build_on_meta
from mmmae_st.command_line import load_config, short_errors, tool_parser
from mmmae_st.compat.versions import versions_of
from mmmae_st.config.packaged import config_names
from mmmae_st.config.presets import choose, find_hardware
from mmmae_st.datasets.annotations import VIDEO_EXTENSIONS
from mmmae_st.datasets.readers import BACKENDS, VideoReadError, open_video
from mmmae_st.models.weights import parse_config, read_checkpoint, summarise
from mmmae_st.models.weights.convert import to_ours
from mmmae_st.registry import type_name

PACKAGES = (
    *('torch', 'torchvision', 'timm', 'mmengine', 'onedl-mmengine', 'mmcv', 'mmcv-lite'),
    *('onedl-mmcv', 'mmaction2', 'mmdet', 'onedl-mmdetection', 'av', 'decord', 'numpy'),
)
MODULES = dict(pyav='av', decord='decord')
WEIGHTS = ('.pth', '.pt', '.pyth', '.bin', '.ckpt', '.safetensors')


def of_machine() -> str:
    """Versions, devices, decoders, and what is chosen for training here."""
    hardware = find_hardware()
    versions = versions_of(*PACKAGES)
    gpus = f'{hardware.gpus} x {hardware.gpu}, {hardware.memory:.0f} GiB' if hardware.gpus else '-'
    decoders = [name for name in BACKENDS if find_spec(MODULES[name])]
    preset, why = choose(hardware, 1)
    names = config_names()
    lines = dict(
        versions=', '.join(f'{name} {number}' for name, number in versions.items()),
        system=f'{platform.platform()}, {hardware.cores} CPU cores',
        GPUs=f'{gpus} (CUDA {torch.version.cuda} in torch)',
        decoders=', '.join(decoders),
        configs=f'{len(names)} in the package: {", ".join(names)}',
        preset=f'{preset} for mmmae_st train FOLDER: {why}',
        more='mmmae_st verify tries out what is installed',
    )
    fill = partial(textwrap.fill, width=100, subsequent_indent=' ' * 10, break_on_hyphens=False)
    return '\n'.join(fill(f'{key:<10}{text}') for key, text in lines.items())


def of_checkpoint(path: str) -> str:
    """Whose weights a file holds, of which model, and by which run."""
    file = read_checkpoint(path)
    try:
        weights = to_ours(file)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    number = sum(tensor.numel() for tensor in file.state.values())
    lines = [
        summarise(weights.state, weights.source, weights.config),
        f'{number:,} parameters in {len(file.state)} tensors, {_size(path)}',
        *weights.notes,
    ]
    if file.config_text:
        lines.append(of_config(parse_config(file.config_text)))
    return '\n'.join(lines)


def of_config(cfg: Config) -> str:
    """Model and training of a config, as far as it has them."""
    model = cfg.get('model')
    lines = []
    if model:
        lines.append(f'model {type_name(model)}, {_parameters(cfg)}')
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(name)
        if loader:
            data = loader.dataset
            steps = (cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1)
            times = f' x {steps} accumulated' if steps > 1 and name.startswith('train') else ''
            lines.append(
                f'{name}: {type_name(data)}, data_root {data.get("data_root", "")!r}, ann_file '
                f'{data.get("ann_file", "")!r}, {loader.get("batch_size")} videos{times} a process'
            )
    if cfg.get('optim_wrapper'):
        optimizer = cfg.optim_wrapper.get('optimizer') or {}
        epochs = (cfg.get('train_cfg') or {}).get('max_epochs')
        lines.append(f'{type_name(optimizer)}, lr {optimizer.get("lr")}, {epochs} epochs')
    return '\n'.join(lines)


def _parameters(cfg: Config) -> str:
    """Number of parameters, or why it cannot be told here."""
    try:
        model = build_on_meta(cfg)
    except (ImportError, KeyError, RuntimeError) as error:
        return f'which cannot be built here ({error})'
    return f'{sum(value.numel() for value in model.parameters()):,} parameters'


def of_video(path: str) -> str:
    """Size, length and rate, as clips would be read from it."""
    try:
        with open_video(path) as reader:
            height, width = reader.read([0])[0].shape[:2]
    except VideoReadError as error:
        raise ValueError(f'cannot read {path}: {error}') from error
    return (
        f'{width} x {height}, {reader.num_frames} frames at {reader.fps:g} a second, '
        f'{reader.num_frames / reader.fps:.1f} s, {_size(path)}'
    )


def _size(path: str) -> str:
    return f'{os.path.getsize(path) / 1e6:.1f} MB' if os.path.isfile(path) else 'fetched'


def describe(name: str) -> str:
    """What a checkpoint, a video or a config is, by the ending of its name."""
    ending = Path(name).suffix.lower()
    if ending in WEIGHTS:
        return of_checkpoint(name)
    if ending in VIDEO_EXTENSIONS:
        return of_video(name)
    try:
        return of_config(load_config(name))
    except ValueError as missing:  # a package; the message says how to install it
        return f'{of_config(load_config(name, import_modules=False))}\n{missing}'


def main(argv: list[str] | None = None) -> None:
    """Print what is asked for."""
    parser = tool_parser(__doc__)
    parser.add_argument(
        'names', nargs='*', metavar='NAME', help='checkpoint, video, config or its short name'
    )
    args = parser.parse_args(argv)
    with short_errors():
        if not args.names:
            print(of_machine())
        for name in args.names:
            print(f'{name}\n  ' + describe(name).replace('\n', '\n  '))


if __name__ == '__main__':
    main()
