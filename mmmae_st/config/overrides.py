"""Overrides of a config from the command line, refused where nothing would read them."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from mmengine.config import Config

from mmmae_st.config.check import PARTS, TOP_LEVEL
from mmmae_st.engine.runner.launch import LOADERS

# What users of other codes, or of mmengine's predecessors, write, and what is read here.
HERE = {
    'train_pipeline': 'train_dataloader.dataset.pipeline',
    'val_pipeline': 'val_dataloader.dataset.pipeline',
    'test_pipeline': 'test_dataloader.dataset.pipeline',
    'pipeline': 'train_dataloader.dataset.pipeline',
    'data': 'train_dataloader.dataset',
    'dataset': 'train_dataloader.dataset',
    'data_root': 'train_dataloader.dataset.data_root',
    'batch_size': 'train_dataloader.batch_size',
    'optimizer': 'optim_wrapper.optimizer',
    'lr': 'optim_wrapper.optimizer.lr',
    'lr_config': 'param_scheduler',
    'max_epochs': 'train_cfg.max_epochs',
    'total_epochs': 'train_cfg.max_epochs',
    'seed': 'randomness.seed',
    'resume_from': '--resume',
    'checkpoint_config': 'default_hooks.checkpoint',
    'log_config': 'default_hooks.logger',
}
OF_FROZEN_EVAL = ('knn', 'linear', 'attentive')


def override(cfg: Config, options: Mapping[str, Any] | None) -> None:
    """Apply ``--cfg-options`` in place.

    Variables of a config file (``train_pipeline``) have done their work when it has been read: to
    change them later changes nothing.

    Args:
        cfg: A full config.
        options: Values by dotted keys; None for none.

    Raises:
        ValueError: If a key is of no part that is read; names the one that is meant.
    """
    read = {*TOP_LEVEL, *PARTS, *LOADERS, *OF_FROZEN_EVAL}
    for key in options or ():
        top, _, rest = key.partition('.')
        if top in read:
            continue
        close = get_close_matches(top, sorted(read), n=1)
        meant = HERE.get(top, close[0] if close else None)
        if meant is None:
            hint = 'the keys are those of the parts of a Runner, for instance model.backbone.arch'
        else:
            hint = f'give {meant}' + (f'.{rest}' if rest else '')
        raise ValueError(f'--cfg-options {key}: nothing reads {top!r} of a config; {hint}')
    cfg.merge_from_dict(dict(options or {}))
