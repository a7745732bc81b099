from types import SimpleNamespace

import pytest
import torch
from mmengine.structures import BaseDataElement
from torch import nn

from mmmae_st.engine import ReconstructionHook
from mmmae_st.engine.hooks import reconstruction


class Model(nn.Module):
    head = SimpleNamespace(target='pixels')

    def data_preprocessor(self, batch):
        return {key: value[0] for key, value in batch.items()}

    def predict(self, clips, ids_keep):
        return [BaseDataElement(input=clips, masked=clips, prediction=clips)]


def drawn(monkeypatch, interval, steps):
    """The steps at which a run of so many draws."""
    clip = torch.zeros(1, 3, 2, 4, 4)
    monkeypatch.setattr(reconstruction, 'reconstruction_figure', lambda *args, **kwargs: None)
    found = []
    visualizer = SimpleNamespace(add_image=lambda name, image, step: found.append(step))
    hook = ReconstructionHook(interval)
    batch = dict(inputs=[clip], ids_keep=[torch.zeros(1, 2)])
    for step in range(steps):
        runner = SimpleNamespace(iter=step, model=Model(), visualizer=visualizer)
        hook.after_train_iter(runner, step, batch)
    return found


def test_a_short_run_has_pictures(monkeypatch):
    assert drawn(monkeypatch, 1000, 20) == [1, 2, 4, 8, 16]


def test_after_the_first_interval_it_alone_counts(monkeypatch):
    assert drawn(monkeypatch, 10, 35) == [1, 2, 4, 8, 10, 20, 30]


def test_bad_interval_is_named():
    with pytest.raises(ValueError, match='interval must be at least 1, got 0'):
        ReconstructionHook(0)
