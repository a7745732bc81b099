"""Convert weights between this project and other codes.

    python tools/model_converters/convert.py IN OUT                  to this project
    python tools/model_converters/convert.py IN OUT --to mae_st      to facebookresearch/mae_st
    python tools/model_converters/convert.py IN OUT --to timm        to a 2-D ViT of timm
    python tools/model_converters/convert.py IN OUT --to timm_avg    the same with global_pool='avg'
    python tools/model_converters/convert.py --list                  what is published, and where

IN is recognised by its parameters: a checkpoint of this project (pretraining, recogniser,
detector), of mae_st or PySlowFast (pretrained or fine-tuned), of VideoMAE or V-JEPA 2 (of the
authors or of Hugging Face; the encoder), or of a 2-D image MAE (timm's names, those of its authors
or of Hugging Face; the encoder, inflated). IN and OUT are safetensors files if they end so, PyTorch
files otherwise.

None of this is needed to fine-tune: ``init_cfg=dict(type='Pretrained', checkpoint=IN)`` of the
backbone reads every such file. Printed are the arguments that the weights need and what became of
every parameter. Exit code 1, and no OUT, if the weights do not fill the model.
"""

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import timm
import torch
from torch import Tensor, nn

from mmmae_st.command_line import short_errors, tool_parser
from mmmae_st.fileio.atomic_file import require_writable
from mmmae_st.models import MAEDecoder, MAEHead, SpacetimeViT, SpatiotemporalMAE
from mmmae_st.models.weights import (
    LoadReport,
    Weights,
    fit,
    read_checkpoint,
    summarise,
    table_of_published,
    to_mae_st,
    to_ours,
    to_timm,
    write_checkpoint,
)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = tool_parser(__doc__)
    parser.add_argument(
        '--list', action=ListAction, nargs=0, help='show what can be loaded, and end'
    )
    parser.add_argument('source', metavar='IN', help='file, or http(s) address')
    parser.add_argument('out', metavar='OUT', help='file to write')
    parser.add_argument('--to', choices=list(CONVERTERS), default='mmmae_st')
    parser.add_argument('--prefix', help='take only the parameters whose names begin so')
    args = parser.parse_args(argv)
    if os.path.exists(args.out) and os.path.samefile(args.source, args.out):
        parser.error('OUT must be another file than IN')
    with short_errors():
        require_writable(args.out)
        convert(args.source, args.out, args.to, args.prefix)


class ListAction(argparse.Action):
    """Prints what is published, its licence and the arguments that it needs."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print the table and end."""
        print(table_of_published())
        parser.exit()


def convert(source: str, out: str, target: str, prefix: str | None) -> None:
    """Convert one file and print the report.

    Raises:
        ValueError: If the weights cannot be read, are not complete or have no such form.
    """
    weights = to_ours(read_checkpoint(source), prefix)
    print(f'{source}: {summarise(weights.state, weights.source, weights.config)}')
    state, report = CONVERTERS[target](weights)
    for note in weights.notes:
        print(f'note: {note}')
    print_config(weights.config)
    print_report(report, weights)
    if not report.is_complete():
        raise ValueError(f'the weights do not fill the model, {out} is not written')
    meta = dict(source=weights.source, config=weights.config)
    if target == 'mmmae_st':
        write_checkpoint(out, state, meta=meta)
    else:
        write_checkpoint(out, state, wrapper='model' if target == 'mae_st' else None)
    print(f'wrote {out}: {len(state)} tensors, {sum(t.numel() for t in state.values()):,} values')


def convert_to_ours(weights: Weights) -> tuple[dict[str, Tensor], LoadReport]:
    """Our names; checked against the model they are for."""
    config = {part: without_unknown(arguments) for part, arguments in weights.config.items()}
    with torch.device('meta'):
        if 'decoder' in config:
            model: nn.Module = SpatiotemporalMAE(
                backbone=dict(type=SpacetimeViT, **config['backbone']),
                decoder=dict(type=MAEDecoder, **config['decoder']),
                head=dict(type=MAEHead, **config['head']),
            )
        else:
            model = SpacetimeViT(**config['backbone'])
    report = fit(model, weights)[1]
    report.matched += [name for name in report.left_out if name in weights.state]
    report.left_out = weights.left_out
    return weights.state, report


def convert_to_mae_st(weights: Weights) -> tuple[dict[str, Tensor], LoadReport]:
    """The names of mae_st."""
    state, left_out = to_mae_st(weights)
    decoder = weights.config.get('decoder')
    if decoder and 'decoder_embed.weight' in state:
        heads = decoder['num_heads'] or 'as trained; 16 if not given'
        print(
            f'run mae_st with --decoder_embed_dim {decoder["embed_dims"]} '
            f'--decoder_depth {decoder["depth"]} --decoder_num_heads ({heads})'
        )
    return state, LoadReport(matched=list(state), left_out=left_out + weights.left_out)


def convert_to_timm(
    weights: Weights, global_pool: str = 'token'
) -> tuple[dict[str, Tensor], LoadReport]:
    """The names of timm; checked against timm's model."""
    state, left_out = to_timm(weights, global_pool)
    patch_size, width = state['patch_embed.proj.weight'].shape[-1], state['cls_token'].shape[2]
    side = round((state['pos_embed'].shape[1] - 1) ** 0.5)
    with torch.device('meta'):
        model = timm.models.VisionTransformer(
            img_size=side * patch_size,
            patch_size=patch_size,
            in_chans=state['patch_embed.proj.weight'].shape[1],
            embed_dim=width,
            depth=1 + max(int(n.split('.')[1]) for n in state if n.startswith('blocks.')),
            num_heads=1,
            num_classes=0,
            global_pool=global_pool,
        )
    wanted = model.state_dict()
    report = LoadReport(left_out=left_out + weights.left_out)
    for name, tensor in wanted.items():
        if name not in state:
            report.missing.append(name)
        elif tensor.shape != state[name].shape:
            report.misfits.append(f'{name}: {tuple(state[name].shape)}, {tuple(tensor.shape)}')
        else:
            report.matched.append(name)
    report.unexpected = [name for name in state if name not in wanted]
    return state, report


CONVERTERS = dict(
    mmmae_st=convert_to_ours,
    mae_st=convert_to_mae_st,
    timm=convert_to_timm,
    timm_avg=partial(convert_to_timm, global_pool='avg'),
)


def without_unknown(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments with any valid value for what the file does not tell: names do not need it."""
    known = dict(arguments)
    if known.get('num_heads', 1) is None:
        known['num_heads'] = 1
    if known.get('cls_token', 'none') is None:
        known['cls_token'] = 'none'
    if known.get('out_type', 'tokens') is None:
        known['out_type'] = 'pooled'
    if isinstance(known.get('arch'), dict):
        known['arch'] = dict(known['arch'], num_heads=known['arch']['num_heads'] or 1)
    return known


def print_config(config: dict[str, dict[str, Any]]) -> None:
    """Print the arguments the weights need, as one writes them in a config."""
    print('arguments (None: not told by the file, give what it was trained with):')
    for part, arguments in config.items():
        print(f'  {part}=dict({", ".join(f"{k}={v!r}" for k, v in arguments.items())})')


def print_report(report: LoadReport, weights: Weights) -> None:
    """Print how many parameters were matched, computed, missing, unexpected and left out."""
    computed = Counter(weights.changed.values())
    rows = {
        'matched': (report.matched, ''),
        'of them computed': (
            weights.changed,
            ', '.join(f'{n} {how}' for how, n in computed.items()),
        ),
        'reshaped': (report.reshaped, ', '.join(report.reshaped)),
        'missing': (report.missing, ', '.join(report.missing[:4])),
        'unexpected': (report.unexpected, ', '.join(report.unexpected[:4])),
        'misfits': (report.misfits, '; '.join(report.misfits[:2])),
        'left out': (
            report.left_out,
            ', '.join(
                f'{n} of {part}'
                for part, n in Counter(k.split('.')[0] for k in report.left_out).items()
            ),
        ),
    }
    for kind, (found, remark) in rows.items():
        print(f'  {kind:<18}{len(found):>6}  {remark}'.rstrip())


if __name__ == '__main__':
    main()
