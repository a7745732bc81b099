"""Fixtures that let PyTorch tell of hardware that is not there."""

from collections.abc import Callable

import pytest
import torch


def _fake_cpu(monkeypatch: pytest.MonkeyPatch, has: bool) -> None:
    monkeypatch.setattr('platform.machine', lambda: 'x86_64')
    for flag in ('_is_avx512_bf16_supported', '_is_amx_tile_supported'):
        monkeypatch.setattr(torch.cpu, flag, lambda: has, raising=False)
    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability', lambda: 'AVX512')


@pytest.fixture
def cpu_with_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU with instructions for bfloat16."""
    _fake_cpu(monkeypatch, True)


@pytest.fixture
def cpu_without_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU without."""
    _fake_cpu(monkeypatch, False)


@pytest.fixture
def gpu_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Set the compute capability of all GPUs."""

    def fake(major: int, minor: int) -> None:
        monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: (major, minor))
        monkeypatch.setattr(torch.cuda, 'get_device_name', lambda device: 'Some GPU')

    return fake
