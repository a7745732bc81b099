"""A model card out of what a training run left: data, recipe, loss, licence."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from mmmae_st.analysis.logs import read_run, summarise
from mmmae_st.models.weights import parse_config, read_checkpoint, to_ours

OF_MAE_ST = 'cc-by-nc-4.0'
USE = """\
```python
import mmmae_st

model = mmmae_st.from_pretrained('USER/{name}')  # or the path of a folder
features = mmmae_st.FeatureInferencer('hf://USER/{name}/model.safetensors')('video.mp4')
```
"""


@dataclass(frozen=True)
class Run:
    """What is known of the training.

    Attributes:
        data: What the model was trained on; '' where unknown.
        recipe: Names and values.
        results: Names and values: length, loss, metrics of validation.
        license: By its name on the Hub; '' where none is stated.
    """

    data: str = ''
    recipe: dict[str, str] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    license: str = ''

    def told(self, data: str | None, license: str | None) -> 'Run':
        """The same with what the user says."""
        return replace(self, data=data or self.data, license=license or self.license)


def read_training(checkpoint: str | Path | None, run: str | Path | None) -> Run:
    """What a checkpoint and the log of its run tell.

    Args:
        checkpoint: File or address; None for the log alone.
        run: Work directory with the log; for a local checkpoint by default the folder that it is
            in, where it has a log.

    Raises:
        FileNotFoundError: If ``run`` holds no log.
    """
    data, recipe, license = '', dict[str, str](), ''
    if checkpoint is not None:
        file = read_checkpoint(checkpoint)
        if file.config_text:
            cfg = parse_config(file.config_text)
            data, recipe = _data(cfg), _recipe(cfg)
        elif to_ours(file).source == 'mae_st':
            license = OF_MAE_ST
    results = {}
    if run is not None:
        results = _results(run)
    elif checkpoint is not None and list(Path(checkpoint).parent.glob('*/vis_data/scalars.json')):
        results = _results(Path(checkpoint).parent)
    return Run(data, recipe, results, license)


def model_card(name: str, model: dict[str, dict[str, Any]], numbers: int, run: Run) -> str:
    """The card in Markdown, with the head that the Hub reads.

    Args:
        name: Name of the model.
        model: Arguments of its parts.
        numbers: Number of parameters.
        run: What is known of the training.
    """
    head: dict[str, Any] = dict(
        library_name='mmmae_st', tags=['video', 'masked-autoencoder', 'self-supervised']
    )
    if run.license:
        head['license'] = run.license
    backbone = model['backbone']
    kind = 'Masked autoencoder' if 'decoder' in model else 'Encoder'
    about = dict(
        Model=f'{kind} for video (arXiv 2205.09113), {numbers:,} parameters',
        Encoder=f'ViT {backbone["arch"]}',
        Clips=f'{backbone["num_frames"]} frames of {backbone["img_size"]} pixels, patches of '
        f'{backbone["tubelet_size"]} x {backbone["patch_size"]} x {backbone["patch_size"]}',
        Data=run.data or 'not stated',
        Licence=run.license or 'not stated',
    )
    parts = [
        f'---\n{yaml.safe_dump(head, sort_keys=False)}---\n',
        f'# {name}\n',
        _table(about),
        '## Use\n',
        USE.format(name=name),
    ]
    for title, values in (('Recipe', run.recipe), ('Training', run.results)):
        if values:
            parts += [f'## {title}\n', _table(values)]
    return '\n'.join(parts)


def _table(values: dict[str, str]) -> str:
    rows = [f'| {key} | {value} |' for key, value in values.items()]
    return '\n'.join(['| | |', '|---|---|', *rows]) + '\n'


def _data(cfg: Config) -> str:
    """The last part of the data folder: paths of a machine are nobody's business."""
    dataset = cfg.get('train_dataloader', {}).get('dataset', {})
    return os.path.basename(str(dataset.get('data_root', '')).rstrip('/'))


def _recipe(cfg: Config) -> dict[str, str]:
    """What was trained with, as far as the config tells."""
    loader, wrapper = cfg.get('train_dataloader', {}), cfg.get('optim_wrapper', {})
    steps = loader.get('dataset', {}).get('pipeline', [])
    recipe = {
        'Optimiser': _call(wrapper.get('optimizer', {})),
        'Gradient clipping': _call(wrapper.get('clip_grad') or {}),
        'Videos of a process': str(loader.get('batch_size', '')),
        'Updates every': f'{wrapper.get("accumulative_counts", 1)} batches',
        'Schedule': '; '.join(_call(step) for step in cfg.get('param_scheduler') or []),
        'Epochs': str(cfg.get('train_cfg', {}).get('max_epochs', '')),
        'Clips and masks': '; '.join(_call(step) for step in steps),
        'Target': str(cfg.get('model', {}).get('head', {}).get('target', '')),
        'Seed': str(cfg.get('randomness', {}).get('seed', '')),
    }
    return {key: value for key, value in recipe.items() if value}


def _call(part: dict[str, Any]) -> str:
    """``dict(type='A', b=1)`` as ``A(b=1)``."""
    values = ', '.join(f'{key}={value}' for key, value in part.items() if key != 'type')
    return f'{part["type"]}({values})' if 'type' in part else values


def _results(run: str | Path) -> dict[str, str]:
    summary = summarise(read_run(run))
    names = dict(
        epochs='Epochs done', steps='Updates', hours='Hours', loss='Loss (mean of the last tenth)'
    )
    metrics = ('top1', 'top5', 'acc', 'mAP', 'reconstruction')
    return {
        names.get(key, key): f'{value:.4g}' if isinstance(value, float) else str(value)
        for key, value in summary.items()
        if key in names or any(metric in key for metric in metrics)
    }
