import pytest
import torch
from torch import nn

from mmmae_st.engine import BFloat16OptimWrapper, ShardedOptimWrapper


def forward(wrapper: BFloat16OptimWrapper, model: nn.Module) -> torch.Tensor:
    with wrapper.optim_context(model):
        return model(torch.ones(1, 4))


def test_forward_runs_in_bfloat16_and_weights_stay_float32(cpu_with_bfloat16):
    model = nn.Linear(4, 4)
    wrapper = BFloat16OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    before = model.weight.clone()
    out = forward(wrapper, model)
    wrapper.update_params(out.float().sum())
    assert out.dtype is torch.bfloat16 and model.weight.dtype is torch.float32
    torch.testing.assert_close(model.weight, before - 0.1)


@pytest.mark.parametrize('kind', [BFloat16OptimWrapper, ShardedOptimWrapper])
def test_hardware_without_bfloat16_runs_in_float32(kind, cpu_without_bfloat16, monkeypatch):
    said = []
    monkeypatch.setattr('mmmae_st.precision.print_log', lambda text, **_: said.append(text))
    model = nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    wrapper = kind(optimizer)
    assert forward(wrapper, model).dtype is forward(wrapper, model).dtype is torch.float32
    assert len(said) == 1
    assert forward(kind(optimizer, force_bfloat16=True), model).dtype is torch.bfloat16
    assert len(said) == 1
