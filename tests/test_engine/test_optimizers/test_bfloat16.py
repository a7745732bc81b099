import torch
from torch import nn

from mmmae_st.engine import BFloat16OptimWrapper


def test_forward_runs_in_bfloat16_and_weights_stay_float32():
    model = nn.Linear(4, 4)
    wrapper = BFloat16OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    before = model.weight.clone()
    with wrapper.optim_context(model):
        out = model(torch.ones(1, 4))
    wrapper.update_params(out.float().sum())
    assert out.dtype is torch.bfloat16 and model.weight.dtype is torch.float32
    torch.testing.assert_close(model.weight, before - 0.1)
