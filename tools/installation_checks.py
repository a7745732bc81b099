"""What ``verify_install.py`` tries. Imports are inside the checks: any may be what fails.

A check does the real thing on something tiny and returns a line about it. It raises
:class:`NotInstalledError` for what is not there, with the way to mend it; any other error means
that the part is there and does not work.
"""

import platform
import tempfile
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TINY = dict(img_size=32, num_frames=4, patch_size=16)
TINY_ARCH = dict(embed_dims=32, depth=1, num_heads=2)

IN_CHECKOUT = 'in the checkout of mmmae_st'
FINETUNE = f'pip install ".[lite,finetune]" {IN_CHECKOUT}'
DETECTION = f'pip install ".[detection]" {IN_CHECKOUT}, then mmcv with its ops (README.md)'

FORKS = dict(mmcv='onedl-mmcv', mmdet='onedl-mmdetection')


class NotInstalledError(Exception):
    """A part is not there; the text says what is missing and, after a line end, the remedy."""


def check_core() -> str:
    """A training step of a tiny model."""
    from mmmae_st.version import __version__

    training_step('cpu')
    packages = ('torch', 'torchvision', 'mmengine', 'timm')
    versions = ', '.join(f'{name} {import_module(name).__version__}' for name in packages)
    return f'mmmae_st {__version__}, Python {platform.python_version()}, {versions}'


def check_decoders() -> str:
    """Write a clip and read it back with each decoder."""
    import numpy as np

    from mmmae_st.datasets.readers import open_video
    from mmmae_st.fileio.video_writer import write_video

    frames = [np.full((64, 64, 3), 20 * number, np.uint8) for number in range(12)]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, 'clip.mp4'))
        write_video(path, frames)
        for backend, package in (('pyav', 'av'), ('decord', 'decord')):
            if find_spec(package) is None:
                found.append(f'no {package} (optional: pip install {package})')
                continue
            with open_video(path, backend) as reader:
                frame = reader.read([7])[7]
            error = np.abs(frame.astype(int) - frames[7]).mean()
            if reader.num_frames != len(frames) or error > 6:
                raise RuntimeError(
                    f'{backend} read {reader.num_frames} of {len(frames)} frames, frame 7 is '
                    f'{error:.0f} grey levels off\npip install --force-reinstall {package}'
                )
            found.append(f'{package} {version_of(package)}')
    return ', '.join(found)


def check_recognition() -> str:
    """A training step of a tiny recogniser of mmaction2."""
    need('mmaction', 'mmaction2', FINETUNE)
    import_module('mmmae_st.compat.mmaction')
    import torch
    from mmaction.structures import ActionDataSample

    model = build_model(
        'mmaction',
        dict(
            type='Recognizer3D',
            data_preprocessor=dict(
                type='ActionDataPreprocessor',
                mean=[114.75] * 3,
                std=[57.375] * 3,
                format_shape='NCTHW',
            ),
            backbone=tiny_backbone('pooled'),
            cls_head=dict(type='TimeSformerHead', num_classes=2, in_channels=32),
        ),
    )
    clips = [torch.randint(0, 256, (1, 3, 4, 32, 32), dtype=torch.uint8) for _ in range(2)]
    samples = [ActionDataSample().set_gt_label(label) for label in range(2)]
    data = model.data_preprocessor(dict(inputs=clips, data_samples=samples), training=True)
    sum(model(**data, mode='loss').values()).backward()
    return f'mmaction2 {version_of("mmaction2")}'


def check_detection() -> str:
    """Compiled operations of mmcv, and a tiny detector of mmaction2 and mmdet."""
    need('mmaction', 'mmaction2', DETECTION)
    need('mmdet', 'mmdet', DETECTION)
    try:
        import_module('mmmae_st.compat.mmdet')
    except RuntimeError as error:  # mmcv-lite; the text holds the commands
        raise NotInstalledError(str(error)) from error
    import torch
    from mmcv.ops import roi_align

    boxes = torch.tensor([[0.0, 0.0, 0.0, 8.0, 8.0]])
    pooled = roi_align(torch.ones(1, 1, 16, 16), boxes, (2, 2), 1.0, 0, 'avg', True)
    if not torch.allclose(pooled, torch.ones_like(pooled)):
        raise RuntimeError(f'roi_align of mmcv gives {pooled.flatten().tolist()} for ones')
    build_model(
        'mmdet',
        dict(
            type='FastRCNN',
            backbone=tiny_backbone('featmap'),
            roi_head=dict(
                type='AVARoIHead',
                bbox_roi_extractor=dict(
                    type='SingleRoIExtractor3D', roi_layer_type='RoIAlign', output_size=2
                ),
                bbox_head=dict(
                    type='BBoxHeadAVA', background_class=True, in_channels=32, num_classes=81
                ),
            ),
            train_cfg=dict(rcnn=None),
            test_cfg=dict(rcnn=None),
        ),
    )
    return f'mmdet {version_of("mmdet")}, mmcv {version_of("mmcv")} with compiled operations'


def check_gpu() -> str:
    """A training step on the GPU under bfloat16 autocast."""
    import torch

    if not torch.cuda.is_available():
        built = torch.version.cuda
        if built is None:
            raise NotInstalledError(
                f'torch {torch.__version__} is built for the CPU\n'
                'install a CUDA build, see https://pytorch.org/get-started/locally'
            )
        raise NotInstalledError(
            f'PyTorch, built for CUDA {built}, finds no GPU\n'
            f'if there is one, nvidia-smi must list it with a driver for CUDA {built} or later; '
            'without one everything runs on the CPU, slowly'
        )
    training_step('cuda')
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    gib = torch.cuda.get_device_properties(0).total_memory / 2**30
    without = '' if torch.cuda.is_bf16_supported() else ', no bfloat16: use float32'
    return f'{len(names)} x {names[0]}, {gib:.0f} GiB, CUDA {torch.version.cuda}{without}'


def check_distributed() -> str:
    """Two processes sum a number: over nccl where there are two GPUs, else over gloo."""
    import torch.multiprocessing as mp
    from torch.cuda import device_count

    backend = 'nccl' if device_count() > 1 else 'gloo'
    with tempfile.TemporaryDirectory() as folder:
        args = (backend, f'file://{folder}/store')
        mp.start_processes(_sum_ranks, args, nprocs=2, start_method='fork')
    return f'2 processes over {backend}'


def _sum_ranks(rank: int, backend: str, address: str) -> None:
    import torch
    import torch.distributed as dist

    dist.init_process_group(backend, init_method=address, rank=rank, world_size=2)
    value = torch.tensor(rank + 1.0, device=f'cuda:{rank}' if backend == 'nccl' else 'cpu')
    dist.all_reduce(value)
    if value.item() != 3:
        raise RuntimeError(f'{backend}: 1 + 2 gave {value.item()}')
    dist.destroy_process_group()


CHECKS: dict[str, Callable[[], str]] = dict(
    core=check_core,
    decoders=check_decoders,
    recognition=check_recognition,
    detection=check_detection,
    gpu=check_gpu,
    distributed=check_distributed,
)


def training_step(device: str) -> None:
    """A step of a tiny masked autoencoder; raises if its loss is not finite."""
    import torch

    model = build_model(
        'mmmae_st',
        dict(
            type='SpatiotemporalMAE',
            backbone=tiny_backbone('tokens'),
            decoder=dict(
                type='MAEDecoder', encoder_dims=32, embed_dims=32, depth=1, num_heads=2, **TINY
            ),
            head=dict(type='MAEHead', embed_dims=32),
            data_preprocessor=dict(type='ClipDataPreprocessor'),
        ),
    ).to(device)
    clips = torch.randint(0, 256, (2, 3, 4, 32, 32), dtype=torch.uint8)
    data = model.data_preprocessor(dict(inputs=[clips], ids_keep=[torch.tensor([[0, 3]] * 2)]))
    with torch.autocast(device, torch.bfloat16, enabled=device == 'cuda'):
        loss = model(**data, mode='loss')['loss']
    loss.backward()
    if not loss.isfinite():
        raise RuntimeError(f'the loss of a training step on {device} is {loss.item()}')


def build_model(scope: str, cfg: dict) -> Any:
    """A model from its config, in the scope of a package."""
    from mmengine.config import ConfigDict
    from mmengine.registry import MODELS, init_default_scope

    init_default_scope(scope)
    return MODELS.build(ConfigDict(cfg))


def tiny_backbone(out_type: str) -> dict:
    """Config of a very small encoder."""
    return dict(type='mmmae_st.SpacetimeViT', arch=TINY_ARCH, out_type=out_type, **TINY)


def need(module: str, package: str, remedy: str) -> None:
    """Raise NotInstalledError for a package that is not there."""
    if find_spec(module) is None:
        raise NotInstalledError(f'{package} is not installed\n{remedy}')


def version_of(package: str) -> str:
    """Version of a package, from its metadata; one that a fork provides has the fork's name."""
    for name in (package, FORKS.get(package, package)):
        try:
            return version(name) if name == package else f'{version(name)} ({name})'
        except PackageNotFoundError:
            continue
    return '(unknown version)'
