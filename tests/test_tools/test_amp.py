"""The option --amp of the tools that test."""

import pytest
import torch
from torch import nn


@pytest.mark.parametrize(('amp', 'changes'), [(True, False), ('force', True)])
def test_testing_without_bfloat16_in_the_hardware(tool, cpu_without_bfloat16, amp, changes):
    backbone = nn.Linear(64, 1)
    clips = torch.linspace(0, 1, 64)[None]
    exact = backbone(clips)
    tool('test.py').run_in_bfloat16(backbone, amp)
    scores = backbone(clips)
    assert scores.dtype is torch.float32
    assert torch.equal(scores, exact) != changes
