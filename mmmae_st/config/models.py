"""Whether the parts of a model fit one another, and the clips that come to it."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from logging import WARNING
from typing import Any

import torch
from mmengine import registry as registries
from mmengine.config import Config
from mmengine.logging import print_log
from torch import nn

from mmmae_st.config.values import Problems, attempt, components, lookup
from mmmae_st.datasets import MixedVideoDataset, VideoDataset
from mmmae_st.datasets.transforms import LoadClips
from mmmae_st.datasets.transforms.masking import BaseMasking
from mmmae_st.engine.runner.launch import LOADERS
from mmmae_st.models import SpacetimeViT, SpatiotemporalMAE
from mmmae_st.registry import component_class, is_component


def foreign_models(cfg: Config, doubted: bool) -> Problems:
    """Build the models of other packages, and see whether their widths are those of our encoder.

    Args:
        cfg: A full config.
        doubted: Whether a model that cannot be on the ``meta`` device is built in memory instead,
            to know for certain.
    """
    for path in ('model', 'backbone', 'data_preprocessor'):
        given = cfg.get(path)
        kind = component_class(registries.MODELS, given)
        if kind is None or kind.__module__.startswith('mmmae_st.'):
            continue
        given = copy.deepcopy(given)
        if path == 'model':
            given.setdefault('data_preprocessor', cfg.get('data_preprocessor'))
            preprocessor = given.pop('data_preprocessor')
            if preprocessor is not None:
                # mixup's distributions cannot be on the meta device
                build = partial(_built, preprocessor, given, 'data_preprocessor')
                problems = list(attempt('model.data_preprocessor', build))
                yield from problems
                if problems:
                    continue
        model: dict[str, nn.Module] = {}
        yield from attempt(path, partial(_built, given, model, path, True, doubted))
        if path in model:
            yield from _widths(model[path], given, path)


def _built(
    given: Any, into: dict, name: str, on_meta: bool = False, for_certain: bool = True
) -> None:
    """Build a component; none comes of it where that is too much to ask, or needs a network."""
    if not isinstance(given, Mapping) or 'type' not in given:
        into[name] = given
        return
    with suppress(OSError):  # of a download, which need not work before it is needed
        try:
            with torch.device('meta' if on_meta else 'cpu'):
                into[name] = registries.MODELS.build(copy.deepcopy(given))
        except (RuntimeError, NotImplementedError, ValueError) as error:
            if 'process group' in str(error):  # of several processes, started later
                return
            if not on_meta or 'meta' not in str(error):
                raise
            if for_certain:
                _built(given, into, name)


def _widths(model: nn.Module, given: Mapping, path: str) -> Problems:
    backbone = getattr(model, 'backbone', None)
    if not isinstance(backbone, SpacetimeViT):
        return
    for head in ('cls_head', 'roi_head.bbox_head'):
        wanted = lookup(given, f'{head}.in_channels')
        if wanted not in (None, backbone.embed_dims):
            problem = f'must be {backbone.embed_dims}, the width of the backbone, got {wanted!r}'
            yield f'{path}.{head}.in_channels', problem


def classes(cfg: Config) -> Problems:
    """A recogniser's head and the mixing of its labels count the same classes."""
    head = lookup(cfg, 'model.cls_head.num_classes')
    mixing = lookup(cfg, 'model.data_preprocessor.blending')
    if head is None or mixing is None:
        return
    counts = {}
    for path, part, _ in components(mixing, 'model.data_preprocessor.blending'):
        if 'num_classes' in part:
            counts[f'{path}.num_classes'] = part['num_classes']
    counts['model.cls_head.num_classes'] = head
    if len(set(counts.values())) > 1:
        listed = ', '.join(f'{path}={number}' for path, number in counts.items())
        yield next(iter(counts)), f'all num_classes of a model must be the same, got {listed}'


def sizes(cfg: Config) -> Problems:
    """The clips that a pipeline makes are those that the encoder is made for.

    The encoder resamples its positions for others. In pretraining nobody means that, elsewhere it
    is warned of.
    """
    model = cfg.get('model') or {}
    is_pretraining = is_component(registries.MODELS, model, SpatiotemporalMAE)
    path = 'model.backbone' if model else 'backbone'
    given = lookup(cfg, path)
    scope = model.get('_scope_')
    if not is_component(registries.MODELS, given, SpacetimeViT, scope):
        return
    try:
        with torch.device('meta'):
            encoder = registries.MODELS.build(dict(_scope_='mmmae_st') | copy.deepcopy(given))
    except (ValueError, TypeError, KeyError):
        return  # found elsewhere
    patch = encoder.tubelet_size, encoder.patch_size, encoder.patch_size
    made_for = tuple(n * side for n, side in zip(encoder.grid, patch, strict=True))
    for loader in ('train_dataloader', 'val_dataloader') if is_pretraining else LOADERS[:1]:
        for where, transforms in _pipelines(cfg, f'{loader}.dataset'):
            clip = _clip_size(transforms)
            if clip is not None and clip != made_for:
                problem = (
                    f'gives clips of {clip[0]} frames of {clip[1]} x {clip[2]} pixels, but {path} '
                    f'is made for {made_for[0]} of {made_for[1]} x {made_for[2]}: change clip_len '
                    'and size here, or num_frames and img_size there'
                )
                if is_pretraining:
                    yield where, problem
                else:
                    print_log(f'{where}: {problem}', logger='current', level=WARNING)
            yield from _other_patches(where, transforms, encoder, path)


def _other_patches(where: str, transforms: list, encoder: SpacetimeViT, path: str) -> Problems:
    """Masks of other patches than the encoder's."""
    for i, transform in enumerate(transforms):
        if isinstance(transform, BaseMasking):
            for name in ('patch_size', 'tubelet_size'):
                ours, theirs = getattr(transform, name), getattr(encoder, name)
                if ours != theirs:
                    yield f'{where}[{i}].{name}', f'must be {theirs}, as in {path}, got {ours}'


def _pipelines(cfg: Config, path: str) -> Iterator[tuple[str, list]]:
    """Where the pipelines of a VideoDataset or of a mixture are, and what they hold.

    There is none for other datasets, or one that is wrong.
    """
    dataset = lookup(cfg, path)
    if is_component(registries.DATASETS, dataset, MixedVideoDataset):
        sources = [(f'{path}.datasets[{i}]', d) for i, d in enumerate(dataset.get('datasets', ()))]
    else:
        sources = [(path, dataset)]
    for where, source in sources:
        if not is_component(registries.DATASETS, source, VideoDataset):
            continue
        given = dict(_scope_='mmmae_st') | copy.deepcopy(source) | dict(lazy_init=True)
        with suppress(ValueError, TypeError, KeyError):  # found elsewhere
            yield f'{where}.pipeline', registries.DATASETS.build(given).pipeline.transforms


def _clip_size(transforms: list) -> tuple[int, int, int] | None:
    """Frames, height and width of what a pipeline makes, unless the video decides."""
    frames = [t.clip_len for t in transforms if isinstance(t, LoadClips)]
    sides = [t.size for t in transforms if isinstance(getattr(t, 'size', None), int)]
    return (frames[0], sides[-1], sides[-1]) if frames and sides else None
