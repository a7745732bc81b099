"""What the machine has, and what it lacks."""

import importlib.util
import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from typing import Any

NEEDED = ('torch', 'timm', 'einops', 'mmengine', 'mmcv', 'cv2', 'av', 'skimage', 'psutil', 'tqdm')
WANTED = {
    'transformers': "no comparison with Hugging Face's VideoMAE",
    'matplotlib': 'no pictures, and no report of the study',
    'tensorboard': 'nothing else than its logs',
}
SHARED_MEMORY_GIB = 8.0


def find_missing(device: str) -> tuple[list[str], list[str]]:
    """What the report cannot do without, and what parts of it lack, each with the effect."""
    needed = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    lacking = [
        f'{name} ({effect})'
        for name, effect in WANTED.items()
        if importlib.util.find_spec(name) is None
    ]
    if shutil.which('cc') is None and shutil.which('gcc') is None:
        lacking.append('a C compiler (no torch.compile)')
    if device == 'cuda':
        if not needed and not has_gpu():
            needed.append('a GPU (--device cpu tries the report at tiny sizes)')
        free = shutil.disk_usage('/dev/shm').free / 2**30 if os.path.isdir('/dev/shm') else 0.0
        if free < SHARED_MEMORY_GIB:
            lacking.append(f'shared memory: {free:.1f} GiB free in /dev/shm (loading may fail)')
    return needed, lacking


def has_gpu() -> bool:
    """Whether PyTorch finds one; asked without making a context in this process."""
    os.environ.setdefault('PYTORCH_NVML_BASED_CUDA_CHECK', '1')
    import torch

    return torch.cuda.is_available()


def describe(device: str) -> dict[str, Any]:
    """The machine by name, for the head of each file."""
    import torch

    found: dict[str, Any] = dict(
        device=device,
        cores=len(os.sched_getaffinity(0)),
        python=platform.python_version(),
        torch=torch.__version__,
    )
    for name in ('mmengine', 'timm', 'transformers', 'av'):
        if importlib.util.find_spec(name) is not None:
            found[name] = version(name)
    if device == 'cuda':
        query = [
            'nvidia-smi',
            '--query-gpu=name,memory.total,driver_version',
            '--format=csv,noheader',
        ]
        try:
            found['gpu'] = subprocess.run(
                query, capture_output=True, text=True, timeout=20, check=True
            ).stdout.strip()
        except (OSError, subprocess.SubprocessError) as error:
            found['gpu'] = f'nvidia-smi: {error}'
    return found
