"""The cost of a config's model, and how it is written."""

from collections.abc import Iterable

from mmengine.config import Config

from mmmae_st.analysis.cost import ClipSize, Cost, build_on_meta, detection_cost, recognition_cost
from mmmae_st.analysis.pretraining_cost import pretraining_cost
from mmmae_st.registry import type_name

AUTOCAST = ('BFloat16OptimWrapper', 'AmpOptimWrapper')


def config_cost(
    cfg: Config,
    clip: ClipSize | None = None,
    ratio: float | None = None,
    views: int | None = None,
) -> Cost:
    """Cost of the model of a full config, by what kind of model it is.

    Args:
        cfg: A config with ``model``; for pretraining also with a masking transform.
        clip: Frames, height and width; what the backbone is built for by default.
        ratio: Mask ratio; the masking transform's by default.
        views: Views of a video in the test; by default those of the test pipeline.

    Raises:
        ValueError: If there is no model or one of no known kind, or an argument does not concern
            it.
    """
    if 'model' not in cfg:
        raise ValueError(
            'the config has no model: a frozen encoder is counted by the config it was trained with'
        )
    bfloat16 = type_name(cfg.get('optim_wrapper')) in AUTOCAST
    pretrains = 'decoder' in cfg.model and 'head' in cfg.model
    if ratio is not None and not pretrains:
        raise ValueError(f'ratio={ratio} concerns pretraining; this config does not pretrain')
    if views is not None and 'cls_head' not in cfg.model:
        raise ValueError(f'views={views} concerns recognition; this config has no cls_head')
    if pretrains:
        return pretraining_cost(cfg, clip, ratio, bfloat16)
    if 'cls_head' in cfg.model:
        views = views_of_test(cfg) if views is None else views
        return recognition_cost(build_on_meta(cfg), clip, views, bfloat16)
    if 'roi_head' in cfg.model:
        return detection_cost(build_on_meta(cfg), clip, bfloat16)
    raise ValueError(
        f'cannot count {type_name(cfg.model)}: it has neither decoder and head (pretraining) '
        'nor cls_head (recognition) nor roi_head (detection)'
    )


def views_of_test(cfg: Config) -> int:
    """Temporal times spatial views that the test pipeline cuts from a video."""
    views = 1
    for transform in cfg.get('test_dataloader', {}).get('dataset', {}).get('pipeline', []):
        views *= transform.get('num_clips', 1)
        views *= 3 if type_name(transform).endswith('ThreeCrop') else 1
    return views


def format_cost(cost: Cost, depth: int = 2) -> str:
    """The cost as text: a few lines of facts, then a table by module.

    Args:
        cost: What to write.
        depth: Levels of modules in the table; 2 ends at ``backbone.blocks``.
    """
    frames, height, width = cost.clip
    t, h, w = cost.grid
    rows = [row for row in cost.modules if row.name.count('.') < depth and _is_counted(row)]
    lines = [
        f'{cost.task}, one view of {frames} frames of {height} x {width} pixels: '
        f'{t} x {h} x {w} = {t * h * w} patches',
        '',
        *_table(
            ('module', 'parameters', 'multiply-adds', 'tokens', 'activations'),
            [
                (
                    '  ' * row.name.count('.') + row.name.split('.')[-1] if row.name else 'model',
                    f'{row.parameters:,}',
                    f'{row.multiply_adds / 1e9:.3f} G',
                    '' if row.tokens is None else str(row.tokens),
                    f'{row.activation_bytes / 2**20:.1f} MiB',
                )
                for row in rows
            ],
        ),
        '',
        f'Activations are what a training step keeps for the backward pass, for each clip of the '
        f'batch, in {cost.activation_dtype}'
        + (' autocast.' if cost.activation_dtype == 'bfloat16' else '.'),
    ]
    if cost.fixed_activation_bytes:
        lines.append(f'Besides, {cost.fixed_activation_bytes / 2**20:.1f} MiB whatever the batch.')
    if cost.executed and cost.published:
        lines += [
            '',
            f'Encoder sparse ({cost.mask_ratio:.0%} of the patches left out) and dense '
            '(mask tokens go through it):',
            *_table(
                ('counting', 'sparse', 'dense', 'dense / sparse'),
                [
                    (
                        name,
                        f'{counts["sparse"] / 1e9:.1f} G',
                        f'{counts["dense"] / 1e9:.1f} G',
                        f'{counts["ratio"]:.2f}',
                    )
                    for name, counts in (
                        ('as executed', cost.executed),
                        ('as published', cost.published),
                    )
                ],
            ),
            'As published: every patch is embedded, every decoder block asks from every token, '
            'the prediction layer is left out.',
        ]
    if cost.views is not None:
        total = cost.views * cost.total.multiply_adds
        lines += ['', f'A test video of {cost.views} views: {total / 1e12:.3f} T multiply-adds.']
    if cost.task == 'detection':
        lines += ['', 'The RoI head works on the boxes: its operations are not counted.']
    return '\n'.join(lines)


def _is_counted(row) -> bool:
    return bool(not row.name or row.parameters or row.multiply_adds)


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    cells = [header, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        '  '.join(
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    lines.insert(1, '-' * len(lines[0]))
    return lines
