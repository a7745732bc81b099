"""The learning rates that a config prescribes, without training."""

from dataclasses import dataclass

import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS, init_default_scope

from mmmae_st.models.archs import resolve_arch


@dataclass(frozen=True)
class Schedule:
    """Learning rates of a config.

    Attributes:
        name: Name of the config.
        epochs: Fractional epochs at which the rates are taken.
        learning_rates: Rate of the last layer, at each.
        layer_scales: Factor of each layer on it, from the embeddings to norm and head; empty
            without layer decay.
        views: Clips cut from each decoded video.
    """

    name: str
    epochs: list[float]
    learning_rates: list[float]
    layer_scales: list[float]
    views: int


def config_schedule(cfg: Config, name: str, steps_per_epoch: int = 50) -> Schedule:
    """Step the schedulers of a config through its epochs.

    Args:
        cfg: A full config that trains by epochs.
        name: Name of the result.
        steps_per_epoch: Points in each epoch.

    Raises:
        ValueError: If the config does not train by epochs, or ``steps_per_epoch`` is below 1.
    """
    if steps_per_epoch < 1:
        raise ValueError(f'steps_per_epoch must be at least 1, got {steps_per_epoch}')
    max_epochs = cfg.get('train_cfg', {}).get('max_epochs')
    if max_epochs is None or 'optim_wrapper' not in cfg:
        raise ValueError(f'{name} has no optim_wrapper or no train_cfg.max_epochs')
    init_default_scope('mmmae_st')
    lr = cfg.optim_wrapper.optimizer.lr
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedulers = [
        PARAM_SCHEDULERS.build(
            dict(given),
            default_args=dict(optimizer=optimizer, epoch_length=steps_per_epoch),
        )
        for given in cfg.get('param_scheduler') or []
    ]
    rates = []
    for step in range(max_epochs * steps_per_epoch):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler in schedulers:
            if not scheduler.by_epoch or (step + 1) % steps_per_epoch == 0:
                scheduler.step()
    return Schedule(
        name=name,
        epochs=[step / steps_per_epoch for step in range(len(rates))],
        learning_rates=rates,
        layer_scales=layer_scales(cfg),
        views=train_views(cfg),
    )


def layer_scales(cfg: Config) -> list[float]:
    """Factors ``rate ** (depth + 1 - layer)`` for layers 0 to depth + 1; empty without decay."""
    rate = (cfg.optim_wrapper.get('paramwise_cfg') or {}).get('layer_decay_rate')
    if rate is None:
        return []
    arch = cfg.model.backbone.arch
    depth = resolve_arch(arch).depth
    return [rate ** (depth + 1 - layer) for layer in range(depth + 2)]


def train_views(cfg: Config) -> int:
    """Clips that the training pipeline cuts from each decoded video."""
    return max((step.get('num_clips', 1) for step in training_pipeline(cfg)), default=1)


def training_pipeline(cfg: Config) -> list[dict]:
    """The pipeline of the training set, of a mixture that of its first source; empty without."""
    dataset = cfg.get('train_dataloader', {}).get('dataset', {})
    for source in dataset.get('datasets', [])[:1]:
        dataset = source
    return dataset.get('pipeline', [])
