"""Tries the values of a config on stand-ins: a weight for a model, a number for a set of videos.

What mmengine and PyTorch would find out when training starts, or epochs later, is found out here.
Each function yields (path in the config, what is wrong).
"""

import copy
import inspect
import logging
import multiprocessing
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from mmengine import registry as registries
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from torch import nn
from torch.utils.data import DataLoader

from mmmae_st.config.signatures import argument_problems, type_problems
from mmmae_st.datasets import EpochSampler, MixedVideoDataset, VideoDataset
from mmmae_st.evaluation import AttentiveProbe, knn_accuracy, probe_accuracy
from mmmae_st.registry import component_class, is_component

Problems = Iterator[tuple[str, str]]
# Least value of numbers that nobody checks before they are used.
AT_LEAST: dict[str, int] = {
    'train_cfg.max_epochs': 1,
    'train_cfg.max_iters': 1,
    'train_cfg.val_interval': 1,
    'log_processor.window_size': 1,
    'default_hooks.logger.interval': 1,
    'randomness.seed': 0,
    'auto_scale_lr.base_batch_size': 1,
}
# Words that nobody checks before they are used.
CHOICES: dict[str, tuple] = {
    'env_cfg.mp_cfg.mp_start_method': tuple(multiprocessing.get_all_start_methods()),
    'val_evaluator.collect_device': ('cpu', 'gpu'),
    'test_evaluator.collect_device': ('cpu', 'gpu'),
    'model.cls_head.average_clips': ('prob', 'score', None),
}
MAX_STEPS = 300  # of a schedule


def plain_values(cfg: Config) -> Problems:
    """Numbers and words that stand for themselves."""
    for path, least in AT_LEAST.items():
        value = lookup(cfg, path)
        if value is not None and (type(value) not in (int, float) or value < least):
            yield path, f'must be an integer of at least {least}, got {value!r}'
    for path, choices in CHOICES.items():
        value = lookup(cfg, path)
        if value is not None and value not in choices:
            yield path, f'must be one of {choices}, got {value!r}'
    level = cfg.get('log_level')
    try:
        logging.Logger('').setLevel(level or 0)
    except (ValueError, TypeError):
        yield 'log_level', f"must be one of 'DEBUG', 'INFO', 'WARNING', 'ERROR', got {level!r}"
    norm = lookup(cfg, 'optim_wrapper.clip_grad.max_norm')
    if norm is not None and (type(norm) not in (int, float) or norm <= 0):
        yield 'optim_wrapper.clip_grad.max_norm', f'must be a positive number, got {norm!r}'


def loaders(cfg: Config) -> Problems:
    """PyTorch's loader checks its arguments when it is made; no worker is started."""
    stand_in: Any = [0]
    for path in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        given = cfg.get(path) or {}
        arguments = {
            key: value
            for key, value in given.items()
            if key in inspect.signature(DataLoader).parameters and not isinstance(value, Mapping)
        }
        yield from attempt(path, partial(DataLoader, stand_in, **arguments))


def order_of_videos(cfg: Config) -> Problems:
    """Each epoch has views and masks of its own only if the sampler tells the epoch."""
    given = cfg.get('train_dataloader') or {}
    dataset = given.get('dataset') or {}
    for path in ('val_dataloader', 'test_dataloader'):
        if is_component(registries.DATASETS, lookup(cfg, f'{path}.dataset'), MixedVideoDataset):
            yield (
                f'{path}.dataset.type',
                'MixedVideoDataset is for training: it gives videos again, and leaves others out',
            )
    if is_component(registries.DATASETS, dataset, (VideoDataset, MixedVideoDataset)):
        tells = is_component(registries.DATA_SAMPLERS, given.get('sampler'), EpochSampler)
        if not (tells or dataset.get('test_mode')):
            kind = (given.get('sampler') or {}).get('type')
            yield (
                'train_dataloader.sampler',
                f'must be EpochSampler, got {kind!r}: no other tells the dataset the epoch, and '
                'every epoch would have the same views and masks',
            )
        return
    for path, part, scope in components(dataset, 'train_dataloader.dataset'):
        if is_component(registries.DATASETS, part, VideoDataset, scope):
            yield (
                f'{path}.type',
                'VideoDataset cannot be inside another dataset, which would not tell it the epoch: '
                'use MixedVideoDataset, or join the lists into one ann_file',
            )


def optimiser(cfg: Config) -> Problems:
    """The optimiser, its wrapper, the constructor and the schedules, on one weight."""
    wrapper = cfg.get('optim_wrapper') or {}
    if 'optimizer' not in wrapper:
        return  # none, or one for each part of the model
    constructor = wrapper.get('constructor', 'DefaultOptimWrapperConstructor')
    build_groups = component_class(registries.OPTIM_WRAPPER_CONSTRUCTORS, dict(type=constructor))
    if build_groups is None:
        yield 'optim_wrapper.constructor', f'no component is called {constructor!r}'
        return
    kind = component_class(registries.OPTIMIZERS, wrapper.get('optimizer'))
    if kind is None or not is_of_torch(kind):
        return  # others may need a device or several processes

    def optimizer() -> torch.optim.Optimizer:
        arguments = {key: value for key, value in wrapper['optimizer'].items() if key != 'type'}
        return kind([nn.Parameter(torch.zeros(1))], **arguments)

    def construct() -> None:
        settings = copy.deepcopy(dict(wrapper))
        build_groups(settings, settings.pop('paramwise_cfg', None))

    problems = list(attempt('optim_wrapper.optimizer', optimizer))
    yield from problems
    if problems:
        return
    wrap = component_class(registries.OPTIM_WRAPPERS, dict(type='OptimWrapper') | dict(wrapper))
    if wrap is OptimWrapper or (wrap and wrap.__module__.startswith('mmmae_st.')):
        steps = wrapper.get('accumulative_counts', 1)
        yield from attempt('optim_wrapper', lambda: wrap(optimizer(), accumulative_counts=steps))
    yield from attempt('optim_wrapper.paramwise_cfg', construct)
    schedules = cfg.get('param_scheduler')
    for i, schedule in enumerate(schedules if isinstance(schedules, list) else []):
        unit = 'max_epochs' if schedule.get('by_epoch', True) else 'max_iters'
        steps = min(lookup(cfg, f'train_cfg.{unit}') or 2, MAX_STEPS) - 1
        follow = partial(_follow, schedule, optimizer, steps)
        yield from attempt(f'param_scheduler[{i}]', follow)


def frozen_evaluation(cfg: Config) -> Problems:
    """Options of k-NN and of the probes."""
    if 'backbone' not in cfg:
        return
    own = ('token_grid', 'num_heads')  # of the attentive probe, read by the tool
    for path, function, by_tool in (
        ('knn', knn_accuracy, ('train', 'test')),
        ('linear', probe_accuracy, ('train', 'test', 'build')),
        ('attentive', probe_accuracy, ('train', 'test', 'build')),
    ):
        if path not in cfg:
            continue  # not asked for
        given = {key: value for key, value in cfg[path].items() if key not in own}
        found = argument_problems(function, dict.fromkeys(by_tool) | given)
        for key, problem in found or type_problems(function, given):
            yield f'{path}.{key}', problem
    if not cfg.get('attentive'):
        return
    heads = lookup(cfg, 'attentive.num_heads')
    with torch.device('meta'):
        try:
            width = registries.MODELS.build(cfg.backbone).embed_dims
        except (ValueError, TypeError, KeyError):
            return  # found elsewhere
        yield from attempt('attentive.num_heads', lambda: AttentiveProbe(width, 2, heads))


VALUE_CHECKS: tuple[Callable[[Config], Problems], ...] = (
    plain_values,
    loaders,
    order_of_videos,
    optimiser,
    frozen_evaluation,
)


def attempt(path: str, function: Callable[[], Any]) -> Problems:
    """Call a function; its error, if there is one, is a problem of the path."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # they come again when it is built for good
            function()
    except Exception as error:  # whatever it is, training would meet it
        yield path, f'{error}' or type(error).__name__


def _follow(given: Mapping, optimizer: Callable[[], torch.optim.Optimizer], steps: int) -> None:
    """Go through a schedule; the unit of its steps makes no difference."""
    own = ('type', '_scope_', 'convert_to_iter_based')
    arguments = {key: value for key, value in given.items() if key not in own}
    stand_in = optimizer()
    schedule = component_class(registries.PARAM_SCHEDULERS, given)(stand_in, **arguments)
    stand_in.step()
    for _ in range(min(int(schedule.end), steps)):
        schedule.step()


def lookup(cfg: Mapping, path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    value: Any = cfg
    for name in path.split('.'):
        value = value.get(name) if isinstance(value, Mapping | Config) else None
    return value


def is_of_torch(optimizer: type) -> bool:
    """Whether an optimiser is one of PyTorch's, which work on any weight in any process."""
    return optimizer.__module__.startswith('torch.optim')


def components(
    value: Any, path: str, scope: str | None = None
) -> Iterator[tuple[str, Mapping, str | None]]:
    """Every dict that names a component, however deep: its path, itself, the scope it is in."""
    if isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from components(item, f'{path}[{i}]', scope)
    elif isinstance(value, Mapping):
        scope = value.get('_scope_', scope)
        if isinstance(value.get('type'), str | type):
            yield path, value, scope
        for name, item in value.items():
            yield from components(item, f'{path}.{name}', scope)
