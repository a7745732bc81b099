"""Finds what is wrong in a config before anything is read, decoded or trained."""

import copy
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from logging import WARNING
from typing import Any

import torch
from mmengine import registry as registries
from mmengine.config import Config
from mmengine.dist import init_dist
from mmengine.logging import print_log
from mmengine.registry import DefaultScope, Registry
from mmengine.runner import FlexibleRunner, Runner
from mmengine.utils.dl_utils import set_multi_processing
from torch.distributed import init_process_group
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.utils.data import DataLoader

from mmmae_st.config.models import classes, foreign_models, sizes
from mmmae_st.config.signatures import argument_problems, scalar_problems, suggestion, type_problems
from mmmae_st.config.values import VALUE_CHECKS, is_of_torch, lookup
from mmmae_st.engine.runner.launch import HOOK_NAMES, LOADERS

# Parts of a Runner's config, the registry of each and the class when it names none.
PARTS: dict[str, tuple[Registry, str | None]] = {
    'model': (registries.MODELS, None),
    'backbone': (registries.MODELS, None),  # of frozen features
    'data_preprocessor': (registries.MODELS, None),
    'train_cfg': (registries.LOOPS, 'EpochBasedTrainLoop'),
    'val_cfg': (registries.LOOPS, 'ValLoop'),
    'test_cfg': (registries.LOOPS, 'TestLoop'),
    'optim_wrapper': (registries.OPTIM_WRAPPERS, 'OptimWrapper'),
    'param_scheduler': (registries.PARAM_SCHEDULERS, None),
    'val_evaluator': (registries.METRICS, None),
    'test_evaluator': (registries.METRICS, None),
    'default_hooks': (registries.HOOKS, None),
    'custom_hooks': (registries.HOOKS, None),
    'visualizer': (registries.VISUALIZERS, 'Visualizer'),
    'log_processor': (registries.LOG_PROCESSORS, 'LogProcessor'),
}
# Keys under which components of another kind than their owner's are found.
INSIDE = {
    'dataset': registries.DATASETS,
    'datasets': registries.DATASETS,
    'pipeline': registries.TRANSFORMS,
    'data_preprocessor': registries.MODELS,
    'init_cfg': registries.WEIGHT_INITIALIZERS,
    'optimizer': registries.OPTIMIZERS,
    'vis_backends': registries.VISBACKENDS,
    'metrics': registries.METRICS,
}
# Top-level keys that mmengine or the tools read besides the arguments of the Runners.
OTHER_PARTS = (
    *('model_wrapper_cfg', 'find_unused_parameters', 'custom_imports', 'auto_scale_lr'),
    'runner_type',
)
TOP_LEVEL = {
    name
    for runner in (Runner, FlexibleRunner)
    for name in inspect.signature(runner.__init__).parameters
    if name != 'self'
} | {*OTHER_PARTS}
LOADER_PARTS = {
    'dataset': registries.DATASETS,
    'sampler': registries.DATA_SAMPLERS,
    'batch_sampler': registries.DATA_SAMPLERS,
    'collate_fn': registries.FUNCTIONS,
    'worker_init_fn': registries.FUNCTIONS,
}
# Plain dicts whose unknown keys mmengine ignores or meets late, with the functions that take them,
# or the keys where mmengine has no such function.
PLAIN_KEYS: dict[str, tuple[Callable | str, ...]] = {
    'randomness': (Runner.set_randomness,),
    'env_cfg': ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
    'env_cfg.mp_cfg': (set_multi_processing,),
    'env_cfg.dist_cfg': (init_dist, init_process_group, 'init_backend', 'port'),
    'auto_scale_lr': ('enable', 'base_batch_size'),
    'optim_wrapper.clip_grad': (clip_grad_norm_, clip_grad_value_, 'type'),
}
# Read by the wrapper's constructor, not by the wrapper.
CONSTRUCTOR_KEYS = ('optimizer', 'constructor', 'paramwise_cfg')
PARAMWISE_KEYS = (
    *('custom_keys', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult', 'flat_decay_mult'),
    *('dwconv_decay_mult', 'dcn_offset_lr_mult', 'bypass_duplicate'),
)
# Taken out before a component of that kind is built.
TAKEN_OUT = {registries.PARAM_SCHEDULERS: 'convert_to_iter_based', registries.HOOKS: 'priority'}
# Built without side effects, so that their constructors check the values.
BUILDABLE = (registries.MODELS, registries.TRANSFORMS, registries.HOOKS, registries.METRICS)


def check_config(cfg: Config) -> None:
    """Check keys, types and values of a config.

    Every dict that names a component (``type=...``) is compared with the signature of that
    component, recursively. Values are tried: components of mmmae_st and the model are built, models
    on the ``meta`` device, and the optimiser and the schedules make steps on a weight of their own.

    Args:
        cfg: A full config of a Runner.

    Raises:
        ValueError: Listing the path of each wrong key and what is wrong with it.
    """
    problems = [
        (key, f'must be a dict, got a {type(cfg[key]).__name__}; does a comma follow it?')
        for key in ('model', 'train_cfg', 'optim_wrapper', 'default_hooks', *LOADERS)
        if not isinstance(cfg.get(key), Mapping | None)
    ]
    if not problems:
        _compare_schedule(cfg)
        problems = _Check(cfg).problems
    if problems:
        listed = [f'{path}: {problem}' for path, problem in problems]
        if len(listed) == 1:
            raise ValueError(f'the config has an error: {listed[0]}')
        raise ValueError('\n  '.join([f'the config has {len(listed)} errors:', *listed]))


def _compare_schedule(cfg: Config) -> None:
    """Warn of schedules that end at another epoch than training does."""
    epochs = (cfg.get('train_cfg') or {}).get('max_epochs')
    schedules = cfg.get('param_scheduler')
    ends = [
        end
        for schedule in (schedules if isinstance(schedules, list) else [])
        if isinstance(schedule, Mapping) and schedule.get('by_epoch', True)
        if isinstance(end := schedule.get('end'), int)
    ]
    if ends and isinstance(epochs, int) and max(ends) != epochs:
        print_log(
            f'train_cfg.max_epochs={epochs}, but the schedules of param_scheduler end at epoch '
            f'{max(ends)}: set end (and T_max) of the last one, too',
            logger='current',
            level=WARNING,
        )


class _Check:
    """One walk through a config; ``problems`` holds (path, what is wrong).

    Inside a model of another package a dict with a ``type`` may be anything: its owner alone knows.
    What looks wrong there is a doubt, and counts when the model cannot be built.
    """

    def __init__(self, cfg: Config) -> None:
        self.scope = cfg.get('default_scope') or 'mmengine'
        self.problems: list[tuple[str, str]] = []
        self.doubts: list[tuple[str, str]] = []
        self.doubtful = False
        self._top_level(cfg)
        for key, (registry, default) in PARTS.items():
            part = cfg.get(key)
            if key in ('train_cfg', 'val_cfg', 'test_cfg') and isinstance(part, Mapping):
                if not part.get('by_epoch', True):
                    default = 'IterBasedTrainLoop'
                part = {name: value for name, value in part.items() if name != 'by_epoch'}
            if key == 'optim_wrapper' and isinstance(part, Mapping) and 'optimizer' not in part:
                default = None  # one for each part of the model
            if key == 'default_hooks':
                for name, hook in (part or {}).items():
                    self.hook(name, hook, f'{key}.{name}')
            else:
                self.part(part, key, registry, default)
        for key in LOADERS:
            if cfg.get(key) is not None:
                self.loader(cfg[key], key)
        for path, takers in PLAIN_KEYS.items():
            self.plain(lookup(cfg, path), path, _keys(takers))
        wrapper = cfg.get('optim_wrapper') or {}
        if 'constructor' not in wrapper:
            self.plain(wrapper.get('paramwise_cfg'), 'optim_wrapper.paramwise_cfg', PARAMWISE_KEYS)
        with DefaultScope.overwrite_default_scope(self.scope):
            for failure in foreign_models(cfg, doubted=bool(self.doubts)):
                self.problems += self.explained(failure)
            for check in (*VALUE_CHECKS, classes, sizes):
                for path, problem in check(cfg):
                    if not any(known.startswith(path) for known, _ in self.problems):
                        self.problems.append((path, problem))

    def part(self, value: Any, path: str, registry: Registry, default: str | None = None) -> None:
        """Check a component, a list of them, or a dict of them."""
        if isinstance(value, list | tuple):
            for i, item in enumerate(value):
                self.part(item, f'{path}[{i}]', registry)
        elif isinstance(value, Mapping) and default is None and 'type' not in value:
            for key, item in value.items():
                self.part(item, f'{path}.{key}', INSIDE.get(key, registry))
        elif isinstance(value, Mapping):
            before = self.scope, self.doubtful
            self.scope = value.get('_scope_', self.scope)
            self.component(value, path, registry, default)
            self.scope, self.doubtful = before

    def component(self, value: Mapping, path: str, registry: Registry, default: str | None) -> None:
        """Check a dict that names a component, and what is inside it."""
        component = self.find(value.get('type', default), path, registry)
        if component is None:
            return
        ours = component.__module__.startswith('mmmae_st.')
        is_model = registry is registries.MODELS
        if ours:
            self.doubtful = False
        before = self._count()
        given = {key: item for key, item in value.items() if key not in ('type', '_scope_')}
        if registry is registries.OPTIM_WRAPPERS:
            given = {key: item for key, item in given.items() if key not in CONSTRUCTOR_KEYS}
        given.pop(TAKEN_OUT.get(registry, ''), None)
        passes_on = registry is registries.OPTIMIZERS and not is_of_torch(component)
        if not passes_on:  # ZeroRedundancyOptimizer has the arguments of another optimiser
            self.note(path, argument_problems(component, given))
        for key, item in value.items():
            if ours or is_model or key in INSIDE:
                outer, self.doubtful = self.doubtful, self.doubtful or (is_model and not ours)
                self.part(item, f'{path}.{key}', INSIDE.get(key, registry))
                self.doubtful = outer
        if self._count() == before:
            self.note(path, (type_problems if ours else scalar_problems)(component, given))
        if ours and self._count() == before:
            self.build(component, given, path, registry)

    def build(self, component: type, given: dict[str, Any], path: str, registry: Registry) -> None:
        """Let the constructor check the values; a dataset reads no list yet."""
        arguments = copy.deepcopy(given)
        if 'lazy_init' in inspect.signature(component).parameters:
            arguments['lazy_init'] = True
        elif registry not in BUILDABLE:
            return
        try:
            with torch.device('meta'), DefaultScope.overwrite_default_scope(self.scope):
                component(**arguments)
        except (ValueError, TypeError, KeyError, AssertionError) as error:
            self.problems.append((path, str(error)))

    def loader(self, value: Mapping, path: str) -> None:
        """Check a data loader and its parts."""
        keys = _keys((DataLoader.__init__,))
        keys += [*LOADER_PARTS, 'num_batch_per_epoch', 'disable_subprocess_warning']
        self.plain(value, path, sorted({*keys}))
        self.note(path, scalar_problems(DataLoader, value))
        for key, registry in LOADER_PARTS.items():
            self.part(value.get(key), f'{path}.{key}', registry)

    def hook(self, name: str, hook: Any, path: str) -> None:
        """A misspelt one would be there beside the one that is meant, which mmengine has itself."""
        close = get_close_matches(name, HOOK_NAMES, n=1, cutoff=0.8)
        if name not in HOOK_NAMES and close:
            self.problems.append((path, f'did you mean {close[0]!r}?'))
        elif isinstance(hook, Mapping) and 'type' not in hook:
            self.problems.append((f'{path}.type', f'no hook is called {name!r}: give its type'))
        else:
            self.part(hook, path, registries.HOOKS)

    def plain(self, value: Any, path: str, keys: Sequence[str]) -> None:
        """Check the keys of a dict that is no component."""
        for key in value if isinstance(value, Mapping) else ():
            if key not in keys:
                problem = f'there is no such key{suggestion(key, keys)}'
                self.problems.append((f'{path}.{key}', problem))

    def note(self, path: str, problems: list[tuple[str, str]]) -> None:
        found = self.doubts if self.doubtful else self.problems
        found += [(f'{path}.{key}', problem) for key, problem in problems]

    def find(self, kind: Any, path: str, registry: Registry) -> Any:
        """The class or function that ``type`` names; noted as a problem when there is none."""
        if not isinstance(kind, str):
            return kind if callable(kind) else None
        failure = ''
        try:
            import_module(f'{self.scope}.registry')
        except ImportError as error:
            failure = f'; {self.scope}.registry cannot be imported: {error}'
        # what sits inside a component can be of a kind that only its owner knows
        for root in (registry, *_ROOTS):
            # the Runner looks functions up in mmengine's own registry
            here = root if root is registries.FUNCTIONS else root.children.get(self.scope, root)
            try:
                found = here.get(kind)
            except ImportError as error:  # a registry that nobody needs may be broken
                if root is registry:
                    failure = f'; {self.scope} cannot be imported: {error}'
                continue
            if found is not None:
                return found
        here = registry.children.get(self.scope, registry)
        names = sorted({*here.module_dict, *registry.module_dict})
        close = get_close_matches(kind, names, n=1)
        hint = f'; did you mean {close[0]!r}?' if close else ''
        if failure and self.scope == 'mmaction':
            failure += (
                '. Let the config import what mends mmaction2: custom_imports=dict(imports='
                "['mmmae_st.compat.mmaction'], allow_failed_imports=False)"
            )
        self.note(path, [('type', f'no component is called {kind!r}{failure or hint}')])
        return None

    def explained(self, failure: tuple[str, str]) -> list[tuple[str, str]]:
        """The doubts that explain why a model could not be built, or the failure itself.

        Python and the registries quote the argument, or the name, that they do not know. Of a value
        of a wrong type the error may say anything.
        """
        path, problem = failure
        inside = [doubt for doubt in self.doubts if doubt[0].startswith(f'{path}.')]
        quoted = set(re.findall(r"['`](\w+)", problem))
        named = [
            doubt
            for doubt in inside
            if quoted & {doubt[0].rpartition('.')[2], *re.findall(r"'(\w+)'", doubt[1])[:1]}
        ]
        return named or [failure, *(doubt for doubt in inside if doubt[1].startswith('must be'))]

    def _count(self) -> int:
        return len(self.problems) + len(self.doubts)

    def _top_level(self, cfg: Config) -> None:
        """A part of the Runner under a misspelt name would be passed over in silence.

        Beside the part itself it may be a variable of the file.
        """
        for key in cfg:
            close = get_close_matches(key, sorted(TOP_LEVEL), n=1, cutoff=0.88)
            if key in TOP_LEVEL or not close:
                continue
            if not cfg.get(close[0]):
                problem = f'a Runner has no such part; did you mean {close[0]!r}?'
                self.problems.append((key, problem))


def _keys(takers: Sequence[Callable | str]) -> list[str]:
    """Names given, and those of the arguments of functions that the caller of them leaves open."""
    keys: list[str] = []
    for taker in takers:
        keys += [taker] if isinstance(taker, str) else inspect.signature(taker).parameters
    return [key for key in keys if key not in ('self', 'parameters', 'launcher', 'kwargs')]


_ROOTS = tuple(value for value in vars(registries.root).values() if isinstance(value, Registry))
