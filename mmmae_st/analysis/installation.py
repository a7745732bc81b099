"""Tries out each part of an installation; ``tools/verify_install.py`` runs them apart.

    python -m mmmae_st.analysis.installation core

A check does the real thing on something tiny and returns a line about it. It raises
:class:`NotInstalledError` for what is not there, with the way to mend it; any other error means
that the part is there and does not work.
"""

import importlib.util
import platform
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.config import ConfigDict

from mmmae_st.datasets.readers import open_video
from mmmae_st.fileio.video_writer import write_video
from mmmae_st.models import SpatiotemporalMAE
from mmmae_st.version import __version__

NOT_INSTALLED = 3  # exit status
TINY = dict(img_size=32, num_frames=4, patch_size=16)
TINY_ARCH = dict(embed_dims=32, depth=1, num_heads=2)


class NotInstalledError(Exception):
    """A part is not there; the text says what is missing and, after a line end, the remedy."""


def check_core() -> str:
    """A training step of a tiny model."""
    _training_step('cpu')
    packages = ('torch', 'torchvision', 'mmengine', 'timm')
    versions = ', '.join(f'{name} {_version(name)}' for name in packages)
    return f'mmmae_st {__version__}, Python {platform.python_version()}, {versions}'


def check_decoders() -> str:
    """Write a clip and read it back with each decoder."""
    frames = [np.full((64, 64, 3), 20 * number, np.uint8) for number in range(12)]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, 'clip.mp4'))
        write_video(path, frames)
        for backend, package in (('pyav', 'av'), ('decord', 'decord')):
            if importlib.util.find_spec(package) is None:
                found.append(f'no {package} (optional: pip install {package})')
                continue
            with open_video(path, backend) as reader:
                frame = reader.read([7])[7]
            error = np.abs(frame.astype(int) - frames[7]).mean()
            if reader.num_frames != len(frames) or error > 6:
                raise RuntimeError(
                    f'{backend} read {reader.num_frames} of {len(frames)} frames, frame 7 is '
                    f'{error:.0f} grey levels off'
                )
            found.append(f'{package} {_version(package)}')
    return ', '.join(found)


def check_recognition() -> str:
    """A training step of a tiny recogniser of mmaction2."""
    _need('mmaction', 'mmaction2', 'pip install ".[finetune]" in the checkout of mmmae_st')
    import mmmae_st.compat.mmaction  # noqa: F401  isort: skip
    from mmaction.structures import ActionDataSample
    from mmengine.registry import MODELS, init_default_scope

    init_default_scope('mmaction')
    model = MODELS.build(
        ConfigDict(
            type='Recognizer3D',
            data_preprocessor=dict(
                type='ActionDataPreprocessor',
                mean=[114.75] * 3,
                std=[57.375] * 3,
                format_shape='NCTHW',
            ),
            backbone=_tiny_backbone('pooled'),
            cls_head=dict(type='TimeSformerHead', num_classes=2, in_channels=32),
        )
    )
    clips = [torch.randint(0, 256, (1, 3, 4, 32, 32), dtype=torch.uint8) for _ in range(2)]
    samples = [ActionDataSample().set_gt_label(label) for label in range(2)]
    data = model.data_preprocessor(dict(inputs=clips, data_samples=samples), training=True)
    sum(model(**data, mode='loss').values()).backward()
    return f'mmaction2 {_version("mmaction2")}'


def check_detection() -> str:
    """Compiled operations of mmcv, and a tiny detector of mmaction2 and mmdet."""
    _need('mmaction', 'mmaction2', 'pip install ".[finetune]" in the checkout of mmmae_st')
    _need('mmdet', 'mmdet', 'pip install ".[detection]" in the checkout of mmmae_st')
    try:
        import mmmae_st.compat.mmdet  # noqa: F401
    except RuntimeError as error:  # mmcv-lite; the text holds the commands
        raise NotInstalledError(str(error)) from error
    from mmcv.ops import roi_align
    from mmengine.registry import MODELS, init_default_scope

    boxes = torch.tensor([[0.0, 0.0, 0.0, 8.0, 8.0]])
    pooled = roi_align(torch.ones(1, 1, 16, 16), boxes, (2, 2), 1.0, 0, 'avg', True)
    if not torch.allclose(pooled, torch.ones_like(pooled)):
        raise RuntimeError(f'roi_align of mmcv gives {pooled.flatten().tolist()} for ones')
    init_default_scope('mmdet')
    MODELS.build(
        ConfigDict(
            type='FastRCNN',
            backbone=_tiny_backbone('featmap'),
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
        )
    )
    return f'mmdet {_version("mmdet")}, mmcv {_version("mmcv")} with compiled operations'


def check_gpu() -> str:
    """A training step on the GPU under bfloat16 autocast."""
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
    _training_step('cuda')
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    gib = torch.cuda.get_device_properties(0).total_memory / 2**30
    without = '' if torch.cuda.is_bf16_supported() else ', no bfloat16: use float32'
    return f'{len(names)} x {names[0]}, {gib:.0f} GiB, CUDA {torch.version.cuda}{without}'


def check_distributed() -> str:
    """Two processes sum a number: over nccl where there are two GPUs, else over gloo."""
    backend = 'nccl' if torch.cuda.device_count() > 1 else 'gloo'
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(_sum_ranks, (backend, f'file://{folder}/store'), nprocs=2)
    return f'2 processes over {backend}'


CHECKS: dict[str, Callable[[], str]] = dict(
    core=check_core,
    decoders=check_decoders,
    recognition=check_recognition,
    detection=check_detection,
    gpu=check_gpu,
    distributed=check_distributed,
)


def _sum_ranks(rank: int, backend: str, address: str) -> None:
    dist.init_process_group(backend, init_method=address, rank=rank, world_size=2)
    value = torch.tensor(rank + 1.0, device=f'cuda:{rank}' if backend == 'nccl' else 'cpu')
    dist.all_reduce(value)
    if value.item() != 3:
        raise RuntimeError(f'{backend}: 1 + 2 gave {value.item()}')
    dist.destroy_process_group()


def _training_step(device: str) -> None:
    model = SpatiotemporalMAE(
        backbone=_tiny_backbone('tokens'),
        decoder=dict(
            type='mmmae_st.MAEDecoder',
            encoder_dims=32,
            embed_dims=32,
            depth=1,
            num_heads=2,
            **TINY,
        ),
        head=dict(type='mmmae_st.MAEHead', embed_dims=32),
        data_preprocessor=dict(type='mmmae_st.ClipDataPreprocessor'),
    ).to(device)
    clips = torch.randint(0, 256, (2, 3, 4, 32, 32), dtype=torch.uint8)
    data = model.data_preprocessor(dict(inputs=[clips], ids_keep=[torch.tensor([[0, 3]] * 2)]))
    with torch.autocast(device, torch.bfloat16, enabled=device == 'cuda'):
        loss = model(**data, mode='loss')['loss']
    loss.backward()
    if not loss.isfinite():
        raise RuntimeError(f'the loss of a training step on {device} is {loss.item()}')


def _tiny_backbone(out_type: str) -> dict:
    return dict(type='mmmae_st.SpacetimeViT', arch=TINY_ARCH, out_type=out_type, **TINY)


def _need(module: str, package: str, remedy: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise NotInstalledError(f'{package} is not installed\n{remedy}')


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return '(unknown version)'


if __name__ == '__main__':
    try:
        print(CHECKS[sys.argv[1]]())
    except NotInstalledError as missing:
        print(missing)
        sys.exit(NOT_INSTALLED)
