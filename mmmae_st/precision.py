"""Mixed precision where the hardware has it.

Without instructions for bfloat16 a product takes many times as long in it as in float32.
"""

import platform
from logging import WARNING
from typing import Literal

import torch
from mmengine.logging import print_log

Amp = bool | Literal['force']


def missing_bfloat16(device: torch.device | str) -> str | None:
    """Why a device is slow in bfloat16; None where it is not, or where nothing is known of it.

    Asked are the instructions of the CPU that PyTorch makes use of (AVX-512 BF16, AMX, or BF16 of
    ARM), and the compute capability of an NVIDIA GPU, which must be 8.0 (Ampere) or later.
    """
    device = torch.device(device)
    if device.type == 'cpu' and not _cpu_has_bfloat16():
        used = torch.backends.cpu.get_cpu_capability()
        return f'this CPU has no instructions for it (PyTorch uses {used})'
    if device.type == 'cuda' and torch.version.hip is None:
        major, minor = torch.cuda.get_device_capability(device)
        if major < 8:
            name = torch.cuda.get_device_name(device)
            return f'{name} has compute capability {major}.{minor}, which must be 8.0 or later'
    return None


def use_bfloat16(amp: Amp, device: torch.device | str) -> bool:
    """Whether to compute under bfloat16 autocast; logs a line with the reason if not as asked.

    Args:
        amp: ``True`` where the hardware has bfloat16, ``'force'`` in any case.
        device: Where the model is.

    Raises:
        ValueError: If ``amp`` is neither a bool nor ``'force'``.
    """
    if amp not in (False, True, 'force'):
        raise ValueError(f"amp must be False, True or 'force', got {amp!r}")
    reason = missing_bfloat16(device) if amp is True else None
    if reason is None:
        return bool(amp)
    text = f'float32 is used in place of bfloat16: {reason}'
    print_log(text, logger='current', level=WARNING)
    return False


def _cpu_has_bfloat16() -> bool:
    if platform.machine().lower() in ('aarch64', 'arm64'):
        return torch.backends.mkldnn.is_available() and bool(
            torch.ops.mkldnn._is_mkldnn_bf16_supported()
        )
    # Not there before PyTorch 2.5, which then does not tell.
    flags = ('_is_avx512_bf16_supported', '_is_amx_tile_supported')
    has = any(getattr(torch.cpu, flag, lambda: False)() for flag in flags)
    return has and 'AVX512' in torch.backends.cpu.get_cpu_capability()
