"""bfloat16 where the hardware has it; PyTorch's answers are made up here."""

import pytest
import torch

from mmmae_st.precision import missing_bfloat16, use_bfloat16


def test_cpus(monkeypatch):
    monkeypatch.setattr('platform.machine', lambda: 'x86_64')
    cases = [  # AVX-512 BF16, AMX, what PyTorch makes use of, whether it is quick
        (True, False, 'AVX512', True),
        (False, True, 'AVX512', True),
        (False, False, 'AVX512', False),
        (False, False, 'AVX2', False),
        (True, True, 'AVX2', False),  # ATEN_CPU_CAPABILITY=avx2
        (True, True, 'DEFAULT', False),
    ]
    for avx512, amx, used, quick in cases:
        monkeypatch.setattr(torch.cpu, '_is_avx512_bf16_supported', lambda f=avx512: f)
        monkeypatch.setattr(torch.cpu, '_is_amx_tile_supported', lambda f=amx: f)
        monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability', lambda u=used: u)
        reason = missing_bfloat16('cpu')
        assert reason is None if quick else f'PyTorch uses {used}' in reason


def test_a_pytorch_that_does_not_tell(monkeypatch):
    monkeypatch.setattr('platform.machine', lambda: 'x86_64')
    for flag in ('_is_avx512_bf16_supported', '_is_amx_tile_supported'):
        monkeypatch.delattr(torch.cpu, flag, raising=False)
    assert missing_bfloat16('cpu') is not None


def test_arm(monkeypatch):
    monkeypatch.setattr('platform.machine', lambda: 'aarch64')
    for has in (True, False):
        monkeypatch.setattr(torch.ops.mkldnn, '_is_mkldnn_bf16_supported', lambda h=has: h)
        assert (missing_bfloat16('cpu') is None) == has
    monkeypatch.setattr(torch.backends.mkldnn, 'is_available', lambda: False)
    assert missing_bfloat16('cpu') is not None


def test_gpus(gpu_of):
    for capability, quick in (((7, 0), False), ((7, 5), False), ((8, 0), True), ((9, 0), True)):
        gpu_of(*capability)
        reason = missing_bfloat16('cuda:0')
        if quick:
            assert reason is None
        else:
            assert f'Some GPU has compute capability {".".join(map(str, capability))}' in reason
    gpu_of(5, 0)
    assert missing_bfloat16('meta') is None  # nothing is known


def test_amds_gpus_count_otherwise(gpu_of, monkeypatch):
    gpu_of(6, 0)
    monkeypatch.setattr(torch.version, 'hip', '6.0')
    assert missing_bfloat16('cuda') is None


def test_the_reason_is_said_and_forcing_helps(cpu_without_bfloat16, monkeypatch):
    said = []
    monkeypatch.setattr('mmmae_st.precision.print_log', lambda text, **_: said.append(text))
    assert use_bfloat16('force', 'cpu') is True and use_bfloat16(False, 'cpu') is False
    assert not said
    assert use_bfloat16(True, 'cpu') is False
    (line,) = said
    assert line.startswith('float32 is used in place of bfloat16: this CPU') and '\n' not in line


def test_it_is_used_where_it_is_there(cpu_with_bfloat16):
    assert use_bfloat16(True, 'cpu') is True
    with pytest.raises(ValueError, match="amp must be False, True or 'force', got 'yes'"):
        use_bfloat16('yes', 'cpu')
