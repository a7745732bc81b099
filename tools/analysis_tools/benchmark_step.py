"""Time a pretraining step on ready data: preprocessing, forward, backward and optimiser.

Beside it, in turn with it, runs a large matrix product of the same type: the ceiling. With
--reference a plain implementation of the same mathematics runs as well (dense 3-D convolution over
all patches, separate q, k and v, explicit softmax, mask after embedding) with the same weights,
masks and loss; with --huggingface the VideoMAE of the package transformers, of the same sizes and
masks, with weights of its own; with --dense our own model with mask tokens in the encoder; with
--decoder-masking our own model predicting half of the removed patches, a changed objective.

examples:
  benchmark_step.py configs/mae_st_vitb_k400.py --dense --reference
  benchmark_step.py configs/mae_st_vitl_k400.py --batch 128 --amp --compile --reference  # on a GPU
"""

import argparse
import copy
import json

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, init_default_scope
from step_benchmark.figures import measure
from step_benchmark.others import HuggingFace, Reference
from step_benchmark.steps import Settings, Step, make_batch

from mmmae_st.analysis.pretraining_cost import pretraining_cost
from mmmae_st.analysis.step_time import kept_bytes
from mmmae_st.apis.inputs import to_cuda_if_any
from mmmae_st.command_line import (
    add_config_options,
    load_config,
    number,
    short_errors,
    tool_parser,
)
from mmmae_st.fileio.atomic_file import require_writable, write_whole


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__)
    parser.add_argument('config', help='pretraining config')
    parser.add_argument('--batch', type=number(int, 1), default=4, help='clips in a batch')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--amp', action='store_true', help='bfloat16 autocast')
    parser.add_argument('--compile', action='store_true', help='torch.compile all models')
    parser.add_argument('--dense', action='store_true', help='also time the dense encoder')
    parser.add_argument(
        '--decoder-masking', action='store_true', help='also time predicting half of the patches'
    )
    parser.add_argument('--reference', action='store_true', help='also time the plain reference')
    parser.add_argument(
        '--huggingface', action='store_true', help='also time the VideoMAE of transformers'
    )
    parser.add_argument('--runs', type=number(int, 1), default=7, help='counted steps')
    parser.add_argument('--warmup', type=number(int, 0), default=2, help='steps before counting')
    parser.add_argument(
        '--budget-gib',
        type=number(float, 0, above=True),
        help="memory to print the largest batch for (a GPU's, if any)",
    )
    parser.add_argument('--profile', action='store_true', help='print the rows of a profiled step')
    parser.add_argument('--out', help='write the figures to this JSON file')
    add_config_options(parser)
    return parser.parse_args(argv)


def variants(cfg: Config, args: argparse.Namespace) -> dict[str, Config]:
    """Configs of our own model to time, by name."""
    configs = {'ours': cfg}
    if args.dense:
        configs['dense'] = dense = copy.deepcopy(cfg)
        dense.model.backbone.with_mask_token = True
        dense.model.decoder.with_mask_token = False
    if args.decoder_masking:
        configs['half predicted'] = half = copy.deepcopy(cfg)
        pipeline = half.train_dataloader.dataset.pipeline
        pipeline.insert(len(pipeline) - 1, dict(type='DecoderMasking', ratio=0.5))
    return configs


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    args = parse_args(argv)
    # Else there is a line for each parameter, and one for each registry that is searched.
    MMLogger.get_instance('benchmark_step', log_level='ERROR')
    with short_errors():
        to_cuda_if_any(args.device)
        if args.out:
            require_writable(args.out)
        cfg = load_config(args.config, args.cfg_options)
        if 'optim_wrapper' not in cfg:
            raise ValueError(f'{args.config} must be of a training, with optim_wrapper')
        init_default_scope(cfg.get('default_scope', 'mmmae_st'))
        measure_config(cfg, args)


def measure_config(cfg: Config, args: argparse.Namespace) -> None:
    """Time all variants of a config and write the figures."""
    settings = Settings(
        args.batch, args.device, args.amp, args.compile, runs=args.runs, warmup=args.warmup
    )
    configs = variants(cfg, args)
    steps = {}
    for name, variant in configs.items():
        torch.manual_seed(0)
        model = MODELS.build(variant.model).to(args.device)
        steps[name] = Step(model, variant, make_batch(model, variant, settings), settings)
    ours = steps['ours']
    if args.reference:
        steps['reference'] = Step(Reference(ours.model), cfg, ours.batch, settings)
    if args.huggingface:
        steps['huggingface'] = Step(HuggingFace(ours.model), cfg, ours.batch, settings)
    configs.update({name: cfg for name in steps if name not in configs})
    figures = measure(args.config, configs, steps, settings)
    for name, step in steps.items():
        kept = kept_bytes(step.forward_pass, step.model) / settings.batch / 2**20
        figures['models'][name]['kept_mib_per_clip'] = kept
    figures['memory'] = memory(cfg, args, ours.model)
    report(figures)
    if args.profile:
        profile(ours)
    if args.out:
        write_whole(args.out, json.dumps(figures, indent=2) + '\n')


def memory(cfg: Config, args: argparse.Namespace, model: torch.nn.Module) -> dict:
    """Bytes that training keeps: fixed, for each clip, and the batch that fits a budget."""
    total = pretraining_cost(cfg, bfloat16=args.amp)
    parameters = sum(p.numel() for p in model.parameters())
    fixed = 16 * parameters + total.fixed_activation_bytes  # weight, gradient, two moments
    per_clip = total.total.activation_bytes
    budget = args.budget_gib
    if budget is None and torch.device(args.device).type == 'cuda':
        budget = torch.cuda.get_device_properties(args.device).total_memory / 2**30
    fits = None if budget is None else max(int((budget * 2**30 - fixed) / per_clip), 0)
    return dict(
        fixed_gib=fixed / 2**30,
        mib_per_clip=per_clip / 2**20,
        budget_gib=budget,
        largest_batch=fits,
    )


def report(figures: dict) -> None:
    """Print the figures for people."""
    print(
        f'{figures["config"]}: batch {figures["batch"]}, {figures["mask_ratio"]:.0%} masked, '
        f'{figures["dtype"]}{", compiled" if figures["compiled"] else ""}\n'
        f'{figures["device"]}, {figures["threads"]} threads, torch {figures["torch"]}\n'
        f'ceiling (matrix product): {figures["ceiling_gmacs_per_second"]:.1f} G multiply-adds/s\n'
    )
    print(
        f'{"":14} {"clips/s":>9} {"s/clip":>8} {"fastest-slowest":>17} {"G/clip":>8} '
        f'{"G/s":>8} {"ceiling":>8} {"time/ours":>9} {"loss":>10} {"kept MiB/clip":>13} '
        f'{"peak GiB":>9}'
    )
    for name, row in figures['models'].items():
        low, high = row['fastest_slowest']
        print(
            f'{name:14} {row["clips_per_second"]:9.2f} {row["seconds_per_clip"]:8.4f} '
            f'{low:8.4f}-{high:8.4f} {row["gmacs_per_clip"]:8.1f} '
            f'{row["gmacs_per_second"]:8.1f} {row["share_of_ceiling"]:8.0%} '
            f'{row["time_over_ours"]:9.2f} {row["loss"]:10.6f} '
            f'{row["kept_mib_per_clip"]:13.0f} '
            f'{"" if row["peak_gib"] is None else format(row["peak_gib"], "9.2f")}'
        )
    memory = figures['memory']
    print(
        f'\nkept in memory: {memory["fixed_gib"]:.2f} GiB for weights, gradients and optimiser, '
        f'{memory["mib_per_clip"]:.0f} MiB for each clip'
    )
    if memory['budget_gib'] is not None:
        print(f'largest batch in {memory["budget_gib"]:.0f} GiB: {memory["largest_batch"]} clips')


def profile(step: Step) -> None:
    """Print where the time of one step goes."""
    with torch.profiler.profile() as prof:
        step()
    key = 'self_cuda_time_total' if torch.cuda.is_available() else 'self_cpu_time_total'
    print(prof.key_averages().table(sort_by=key, row_limit=20, max_name_column_width=48))


if __name__ == '__main__':
    main()
