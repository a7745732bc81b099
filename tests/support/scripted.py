"""A Runner in this process whose model returns the losses it is told to."""

import itertools
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import Tensor, nn
from torch.utils.data import Dataset

_names = itertools.count()


class Numbers(Dataset):
    """``index`` as inputs; a path with every sample, and failures where asked for."""

    metainfo = dict(dataset_type='numbers')

    def __init__(self, length: int, failures: dict[int, list[tuple[str, str]]] | None = None):
        self.length = length
        self.failures = failures or {}

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int | tuple[int, int]) -> dict:
        epoch, index = index if isinstance(index, tuple) else (0, index)
        meta = dict(
            path=f'{index}.mp4', index=index, epoch=epoch, failures=self.failures.get(index, [])
        )
        return dict(
            inputs=torch.tensor([float(index)]), data_samples=BaseDataElement(metainfo=meta)
        )


class Scripted(BaseModel):
    """Loss of step n: ``losses(n) * weight``, with the weight at 1 and a learning rate of 0."""

    def __init__(self, losses: Callable[[int], float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.losses = losses
        self.step = 0

    def forward(self, inputs: list, data_samples: list, mode: str = 'tensor') -> dict[str, Tensor]:
        loss = self.weight * self.losses(self.step)
        self.step += 1
        return dict(loss=loss)


def make_runner(
    work_dir: Path,
    losses: Callable[[int], float] = lambda step: 1.0,
    *,
    iters: int = 10,
    epochs: int = 1,
    dataset: Dataset | None = None,
    hooks: dict | None = None,
    model: nn.Module | None = None,
    optim_wrapper: dict | None = None,
    num_workers: int = 0,
    **runner_args: object,
) -> Runner:
    """A run of ``epochs`` times ``iters`` steps of one sample."""
    return Runner(
        model=Scripted(losses) if model is None else model,
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=1,
            num_workers=num_workers,
            sampler=dict(type='EpochSampler', shuffle=True),
            dataset=Numbers(iters) if dataset is None else dataset,
        ),
        train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=epochs),
        optim_wrapper=optim_wrapper
        or dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.0)),
        default_hooks={
            'logger': dict(type='LoggerHook', interval=1000),
            **(hooks or {'checkpoint': None}),
        },
        default_scope='mmmae_st',
        randomness=dict(seed=0),
        experiment_name=f'scripted_{next(_names)}',
        visualizer=dict(type='Visualizer', vis_backends=[]),
        log_level='WARNING',
        **runner_args,
    )
