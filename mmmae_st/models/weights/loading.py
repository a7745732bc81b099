"""Loading weights of any known source into our models, with a report or a clear refusal."""

import inspect
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule, PretrainedInit
from mmengine.registry import MODELS
from torch import Tensor

from mmmae_st.fileio.safe_loading import CheckpointError
from mmmae_st.models.archs import resolve_arch
from mmmae_st.models.weights.convert import Weights, to_ours
from mmmae_st.models.weights.describe import summarise
from mmmae_st.models.weights.files import read_checkpoint
from mmmae_st.models.weights.names import KINDS, MAY_LACK_NORM, some
from mmmae_st.models.weights.resample import Grid, resize_table, videomae_table
from mmmae_st.patching import token_grid
from mmmae_st.registry import component_class

INIT_CFG_KEYS = ('type', 'checkpoint', 'prefix')
# what outputs depend on, though no shape may show it: argument, and attribute of the module
ARGUMENTS = dict(
    backbone=dict(
        embed_dims='embed_dims',
        patch_size='patch_size',
        tubelet_size='tubelet_size',
        pos_embed='pos_embed.kind',
        with_cls_token='with_cls_token',
        num_heads='num_heads',
        norm_eps='norm_eps',
    ),
    decoder=dict(
        num_heads='num_heads',
        norm_eps='norm_eps',
        cls_token='cls_source',
        pos_embed='pos_embed.kind',
    ),
    head=dict(frames='frames', target='target'),
)
NO_NORM = (
    "the file has no final norm, as VideoMAE's of transformers before fine-tuning: "
    "out_type='raw' gives its tokens, 'pooled' and 'featmap' start with a new norm"
)
# an encoder may do without these: a head norms instead, nothing is masked after pretraining
MAY_BE_UNUSED = ('norm.weight', 'norm.bias', 'mask_token')


@dataclass
class LoadReport:
    """What became of every parameter; names are those of the model.

    Attributes:
        matched: Taken as they are.
        reshaped: Position tables that were resampled, with their old and new lengths.
        missing: In the model only.
        fresh: In the model only, and rightly left as drawn: a norm that the file has not.
        unexpected: In the file only, in the parts that were loaded.
        misfits: In both, in shapes that do not fit.
        conflicts: Arguments of the model that contradict the file.
        left_out: In the file only, in parts that were not asked for (a decoder, a head).
    """

    matched: list[str] = field(default_factory=list)
    reshaped: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    misfits: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def is_complete(self) -> bool:
        """Whether the model has all it needs and the file nothing that is wrongly dropped."""
        dropped = [name for name in self.unexpected if name not in MAY_BE_UNUSED]
        return not (self.missing or self.misfits or self.conflicts or dropped)

    def __str__(self) -> str:
        return '\n  '.join(self.lines())

    def in_one_line(self) -> str:
        """The numbers, and arguments that contradict the file; without such all that is wrong."""
        lines = self.lines()
        return '; '.join([lines[0], *self.conflicts] if self.conflicts else lines)

    def lines(self) -> list[str]:
        """What became of the parameters, the numbers first."""
        counts = ', '.join(
            f'{len(getattr(self, kind))} {kind.replace("_", " ")}'
            for kind in ('matched', 'reshaped', 'missing', 'unexpected', 'misfits', 'left_out')
        )
        lines = [counts]
        if self.left_out:
            parts = Counter(name.split('.')[0] for name in self.left_out)
            lines.append('left out: ' + ', '.join(f'{n} of {part}' for part, n in parts.items()))
        lines += [f'reshaped: {name} {how}' for name, how in self.reshaped.items()]
        lines += [f'{argument}' for argument in self.conflicts]
        lines += [f'does not fit: {misfit}' for misfit in self.misfits[:4]]
        lines += [
            f'{kind}: {some(found)}'
            for kind, found in (
                ('missing', self.missing),
                ('not in the file, to be trained', self.fresh),
                ('unexpected', self.unexpected),
            )
            if found
        ]
        return lines


def init_pretrained(module: BaseModule) -> bool:
    """Load what ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix=...)`` names.

    Args:
        module: A ``SpacetimeViT`` or ``SpatiotemporalMAE``.

    Returns:
        Whether it was done; False if there is no such ``init_cfg`` or it was done before.

    Raises:
        ValueError: For an unknown key of it, and as ``load_pretrained``.
    """
    configs = module.init_cfg if isinstance(module.init_cfg, list) else [module.init_cfg]
    found = [cfg for cfg in configs if cfg and cfg['type'] in ('Pretrained', PretrainedInit)]
    if not found or module.is_init:
        return False
    if len(configs) > 1:
        raise ValueError(f"init_cfg of type 'Pretrained' stands alone, got {configs}")
    unknown = sorted(set(found[0]) - set(INIT_CFG_KEYS))
    if unknown or not found[0].get('checkpoint'):
        raise ValueError(
            f'init_cfg={dict(found[0])}: the valid keys are {INIT_CFG_KEYS}, checkpoint is needed'
        )
    load_pretrained(module, found[0]['checkpoint'], found[0].get('prefix'))
    module.is_init = True
    return True


def load_pretrained(
    module: BaseModule, checkpoint: str | Path, prefix: str | None = None
) -> LoadReport:
    """Load an encoder, or a whole masked autoencoder, from a file of any known source.

    Position tables are resampled where the token grids differ. Parameters of other parts of the
    file (decoder, classifier, detector) are left out. The report goes to the log.

    Args:
        module: A ``SpacetimeViT`` or ``SpatiotemporalMAE``.
        checkpoint: File or http(s) address: a checkpoint of this project (pretraining,
            recogniser, detector), of mae_st, PySlowFast, VideoMAE, V-JEPA 2 or an image MAE, as
            PyTorch or safetensors file.
        prefix: Where the weights are below that beginning of the names; ``'backbone.'`` and None
            are the same.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, or the weights do not fill the model; says what the
            file seems to be, what is missing and which arguments contradict it.
    """
    file = read_checkpoint(checkpoint)
    try:
        weights = to_ours(file, prefix, _parts(module)['backbone'].tubelet_size)
    except ValueError as error:
        raise CheckpointError(f'{checkpoint} cannot be loaded: {error}') from error
    fitted, report = fit(module, weights)
    name = type(module).__name__
    what = summarise(weights.state, weights.source, weights.config)
    if not report.is_complete():
        raise CheckpointError(
            f'{checkpoint} does not fill {name}. It seems to be {what}: {report.in_one_line()}'
        )
    module.load_state_dict(fitted)
    print_log(f'{name} loads {checkpoint}, {what}\n  {report}', logger='current')
    return report


def fit(module: BaseModule, weights: Weights) -> tuple[dict[str, Tensor], LoadReport]:
    """Choose and resample the tensors for a model; it is not changed."""
    parts = _parts(module)
    begin = 'backbone.' if len(parts) == 1 else ''
    needed = {part: _needed(part, module, weights) for part, module in parts.items()}
    report = LoadReport(left_out=list(weights.left_out), conflicts=_conflicts(parts, needed))
    offered = {}
    for name, tensor in weights.state.items():
        if name.split('.')[0] in parts:
            offered[name.removeprefix(begin)] = tensor
        else:
            report.left_out.append(name)
    wanted = module.state_dict()
    report.missing = [name for name in wanted if name not in offered]
    norm = [f'{"backbone."[len(begin) :]}norm.{kind}' for kind in KINDS]
    if weights.source in MAY_LACK_NORM and set(norm) <= set(report.missing):
        if parts['backbone'].out_type == 'tokens':
            report.conflicts.append(NO_NORM)
        else:
            report.fresh = norm
            report.missing = [name for name in report.missing if name not in norm]
    report.unexpected = [name for name in offered if name not in wanted]

    fitted = {name: wanted[name] for name in report.fresh}
    for name, target in wanted.items():
        if name not in offered:
            continue
        tensor = offered[name]
        part, _, rest = f'{begin}{name}'.partition('.')
        grids = None
        if rest.startswith('pos_embed.') and tensor.shape[2] == target.shape[2]:
            kind = rest.removeprefix('pos_embed.')
            grids = _table_grids(parts[part], needed[part], kind, tensor)
        if weights.source == 'mmmae_st' and tensor.shape == target.shape:
            report.matched.append(name)  # frames of ours need not be square
        elif grids is not None and grids[0] != grids[1]:
            tensor, report.reshaped[name] = _resized(tensor, weights.source, *grids)
        elif tensor.shape == target.shape:
            report.matched.append(name)
        else:
            report.misfits.append(
                f'{name} is {tuple(tensor.shape)} in the file, {tuple(target.shape)} in the model'
            )
        fitted[name] = tensor
    return fitted, report


def _parts(module: BaseModule) -> dict[str, Any]:
    """The modules by the part of our names that they hold."""
    if not hasattr(module, 'backbone'):
        return dict(backbone=module)
    return {name: getattr(module, name) for name in ('backbone', 'decoder', 'head')}


def _table_grids(
    module: BaseModule, needed: Mapping[str, Any], kind: str, tensor: Tensor
) -> tuple[Grid, Grid] | None:
    """Grids that a position table has in the file and in the model, None if it is no such table.

    Args:
        module: The part of the model that holds the table.
        needed: Arguments of the part that the file is for.
        kind: Name of the table in ``PositionEmbedding``.
        tensor: The table in the file.
    """
    t, h, w = module.pos_embed.grid
    if kind == 'temporal':
        return (tensor.shape[1], 1, 1), (t, 1, 1)
    if kind not in ('spatial', 'joint') or not needed.get('img_size'):
        return None
    size, tubelet, patch = (needed[key] for key in ('img_size', 'tubelet_size', 'patch_size'))
    height, width = (size, size) if isinstance(size, int) else size
    grid = token_grid((needed['num_frames'], height, width), tubelet, patch)
    grids = (grid, (t, h, w)) if kind == 'joint' else ((1, *grid[1:]), (1, h, w))
    return grids if math.prod(grids[0]) == tensor.shape[1] else None


def _resized(table: Tensor, source: str, old: Grid, new: Grid) -> tuple[Tensor, str]:
    """A position table for another grid, and what was done; VideoMAE's fixed one is made anew."""
    if source == 'videomae':
        length, width = table.shape[1:]
        if torch.allclose(table.float(), videomae_table(length, width), atol=1e-2):
            return videomae_table(math.prod(new), width), f'computed for {_times(new)}'
    return resize_table(table, old, new), f'{_times(old)} to {_times(new)}'


def _times(grid: Grid) -> str:
    return 'x'.join(map(str, grid))


def _conflicts(parts: dict[str, Any], needed: dict[str, dict[str, Any]]) -> list[str]:
    """Arguments of the modules that are not what the file needs."""
    found = []
    for part, module in parts.items():
        for argument, attribute in ARGUMENTS[part].items():
            value, wanted = attrgetter(attribute)(module), needed[part].get(argument)
            if wanted is not None and wanted != value:
                found.append(f'{part}.{argument} is {value!r} but the file needs {wanted!r}')
            if argument == 'patch_size' and wanted != value:
                found.append(
                    'kernels of patches are not resampled: take weights of the same patch size'
                )
    return found


def _needed(part: str, module: BaseModule, weights: Weights) -> dict[str, Any]:
    """Arguments of a part by its names and shapes, and above them by what it was trained as."""
    described = weights.config.get(part, {})
    needed = described | _size(described)
    needed.pop('norm_eps', None)  # Hugging Face's differs from the authors' by less than rounding
    if weights.source == 'mmmae_st':
        needed.pop('num_heads', None)  # guessed from the name of the size
        if needed.get('pos_embed') == 'sincos' and not needed.get('with_cls_token'):
            needed.pop('pos_embed')  # or 'rope': neither has parameters
    trained = weights.trained_as.get(part) or {}
    kind = type(module)
    if trained and ('type' not in trained or component_class(MODELS, trained, 'mmmae_st') is kind):
        parameters = inspect.signature(kind).parameters
        trained = {name: parameter.default for name, parameter in parameters.items()} | trained
        needed |= trained | _size(trained)
    return needed


def _size(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Width, depth and heads that ``arch`` stands for."""
    arch = arguments.get('arch', {})
    return dict(arch) if isinstance(arch, Mapping) else resolve_arch(arch)._asdict()
