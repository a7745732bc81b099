"""Time a pretraining step on ready data: preprocessing, forward, backward and optimiser.

Beside it, in turn with it, runs a large matrix product of the same type: the ceiling. With
--reference a plain implementation of the same mathematics runs as well (dense 3-D convolution over
all patches, separate q, k and v, explicit softmax, mask after embedding) with the same weights,
masks and loss; with --dense our own model with mask tokens in the encoder.
"""

import argparse
import copy
import json
import platform
import sys
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope

from mmmae_st.analysis.pretraining_cost import find_masking, pretraining_cost
from mmmae_st.analysis.step_time import Timing, matmul, time_in_turn
from mmmae_st.models.checkpoint import Weights, to_mae_st

ROOT = Path(__file__).resolve().parents[2]


def parse_args() -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='pretraining config')
    parser.add_argument('--batch', type=int, default=4, help='clips in a batch (default 4)')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--amp', action='store_true', help='bfloat16 autocast')
    parser.add_argument('--compile', action='store_true', help='torch.compile the model')
    parser.add_argument('--dense', action='store_true', help='also time the dense encoder')
    parser.add_argument('--reference', action='store_true', help='also time the plain reference')
    parser.add_argument('--runs', type=int, default=7, help='counted steps (default 7)')
    parser.add_argument('--warmup', type=int, default=2, help='steps before counting (default 2)')
    parser.add_argument(
        '--budget-gib', type=float, help="memory to print the largest batch for (default: a GPU's)"
    )
    parser.add_argument('--profile', action='store_true', help='print the rows of a profiled step')
    parser.add_argument('--out', help='write the figures to this JSON file')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE')
    args = parser.parse_args()
    for name in ('batch', 'runs'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1, got {getattr(args, name)}')
    return args


class Step:
    """One of the things to time: a model with its optimiser on a fixed batch."""

    def __init__(self, model: torch.nn.Module, cfg: Config, args: argparse.Namespace) -> None:
        self.model = model.to(args.device)
        wrapper = copy.deepcopy(cfg.optim_wrapper)
        wrapper.type = 'mmmae_st.BFloat16OptimWrapper' if args.amp else 'OptimWrapper'
        wrapper.accumulative_counts = 1
        self.wrapper = build_optim_wrapper(self.model, wrapper)
        self.forward = torch.compile(model) if args.compile else model

    def __call__(self, batch: dict[str, torch.Tensor], loss_only: bool = False) -> float | None:
        """Train on the batch, or only return its loss."""
        with self.wrapper.optim_context(self.model):
            loss = self.forward(**batch, mode='loss')['loss']
        if loss_only:
            return loss.item()
        self.wrapper.update_params(loss)
        return None


class Reference(torch.nn.Module):
    """The plain reference behind the interface of ``SpatiotemporalMAE``."""

    def __init__(self, ours: torch.nn.Module) -> None:
        super().__init__()
        sys.path.insert(0, str(ROOT / 'tests'))
        try:
            from references.mae_st import MaeStPretrain
        except ImportError as error:
            raise SystemExit(f'--reference needs a checkout with its tests: {error}') from error
        backbone, decoder, head = ours.backbone, ours.decoder, ours.head
        if head.target == 'hog' or head.frames != 'linspace' or ours.dense:
            raise SystemExit(
                "--reference knows pixel targets, head.frames='linspace' and the sparse encoder"
            )
        t, h, _ = backbone.grid
        self.plain = MaeStPretrain(
            decoder_embed_dim=decoder.embed_dims,
            decoder_depth=len(decoder.blocks),
            decoder_num_heads=decoder.blocks[0].attn.num_heads,
            norm_pix_loss=head.target == 'normalized_pixels',
            encoder=dict(
                embed_dim=backbone.embed_dims,
                depth=len(backbone.blocks),
                num_heads=backbone.blocks[0].attn.num_heads,
                img_size=h * backbone.patch_size,
                num_frames=t * backbone.tubelet_size,
                patch_size=backbone.patch_size,
                t_patch_size=backbone.tubelet_size,
            ),
        )
        state, left_out = to_mae_st(Weights(state=ours.state_dict(), source='mmmae_st'))
        assert not left_out, left_out
        self.plain.load_state_dict(state)

    def forward(
        self, inputs: torch.Tensor, ids_keep: torch.Tensor, mode: str
    ) -> dict[str, torch.Tensor]:
        """``dict(loss=...)``."""
        assert mode == 'loss'
        return dict(loss=self.plain(inputs, ids_keep)[0])


def make_batch(
    model: torch.nn.Module, cfg: Config, args: argparse.Namespace
) -> dict[str, torch.Tensor]:
    """Random clips, normalised, and masks as the config draws them."""
    backbone, generator = model.backbone, torch.Generator().manual_seed(0)
    t, h, w = backbone.grid
    size = t * backbone.tubelet_size, h * backbone.patch_size, w * backbone.patch_size
    masking = find_masking(cfg)
    ids = [masking.draw(backbone.grid, np.random.default_rng(i)) for i in range(args.batch)]
    clips = torch.randint(0, 256, (args.batch, 3, *size), dtype=torch.uint8, generator=generator)
    return model.data_preprocessor(
        dict(inputs=list(clips[:, None]), ids_keep=[torch.from_numpy(i)[None] for i in ids])
    )


def dense_config(cfg: Config) -> Config:
    """The config with mask tokens in the encoder."""
    dense = copy.deepcopy(cfg)
    dense.model.backbone.with_mask_token = True
    dense.model.decoder.with_mask_token = False
    return dense


def peak_gib(step: Step, batch: dict[str, torch.Tensor], device: torch.device) -> float | None:
    """Peak memory of a step on a GPU in GiB; None on a CPU."""
    if device.type != 'cuda':
        return None
    torch.cuda.reset_peak_memory_stats(device)
    step(batch)
    return torch.cuda.max_memory_allocated(device) / 2**30


def main() -> None:
    """Measure and print."""
    args = parse_args()
    MMLogger.get_instance('benchmark_step', log_level='WARNING')  # a line per parameter else
    device = torch.device(args.device)
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmmae_st'))
    torch.manual_seed(0)

    model = MODELS.build(cfg.model)
    batch_model = model.to(device)
    batch = make_batch(batch_model, cfg, args)
    steps = {'ours': Step(model, cfg, args)}
    if args.reference:
        steps['reference'] = Step(Reference(model), cfg, args)
    if args.dense:
        steps['dense'] = Step(MODELS.build(dense_config(cfg).model), cfg, args)
    losses = {name: step(batch, loss_only=True) for name, step in steps.items()}

    dtype = torch.bfloat16 if args.amp else torch.float32
    product, product_macs = matmul(device, dtype)
    functions = {name: (lambda step=step: step(batch)) for name, step in steps.items()}
    times = time_in_turn({'matmul': product, **functions}, device, args.runs, args.warmup)
    figures = summarise(cfg, args, times, losses, product_macs)
    figures['peak_gib'] = {name: peak_gib(step, batch, device) for name, step in steps.items()}
    figures['memory'] = memory(cfg, args, model)
    report(figures)
    if args.profile:
        profile(steps['ours'], batch)
    if args.out:
        Path(args.out).write_text(json.dumps(figures, indent=2) + '\n')


def summarise(
    cfg: Config,
    args: argparse.Namespace,
    times: dict[str, Timing],
    losses: dict[str, float],
    product_macs: int,
) -> dict:
    """Rates and ratios, plain data."""
    cost = pretraining_cost(cfg)
    ceiling = product_macs / times['matmul'].median
    device = torch.device(args.device)
    name = torch.cuda.get_device_name(device) if device.type == 'cuda' else platform.processor()
    figures = dict(
        config=args.config,
        device=f'{device.type} {name}'.strip(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        dtype='bfloat16' if args.amp else 'float32',
        compiled=args.compile,
        batch=args.batch,
        mask_ratio=cost.mask_ratio,
        ceiling_gmacs_per_second=ceiling / 1e9,
        models={},
    )
    for key in (k for k in times if k != 'matmul'):
        # A backward pass multiplies twice as much as the forward pass.
        macs = 3 * cost.executed['dense' if key == 'dense' else 'sparse']
        seconds = times[key].median / args.batch
        figures['models'][key] = dict(
            loss=losses[key],
            clips_per_second=1 / seconds,
            seconds_per_clip=seconds,
            fastest_slowest=[s / args.batch for s in times[key].spread],
            gmacs_per_clip=macs / 1e9,
            gmacs_per_second=macs / seconds / 1e9,
            share_of_ceiling=macs / seconds / ceiling,
            time_over_ours=times[key].median / times['ours'].median,
        )
    return figures


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
        f'{"":10} {"clips/s":>9} {"s/clip":>8} {"fastest-slowest":>17} {"G/clip":>8} '
        f'{"G/s":>8} {"ceiling":>8} {"time/ours":>9} {"loss":>10} {"peak GiB":>9}'
    )
    for name, row in figures['models'].items():
        low, high = row['fastest_slowest']
        peak = figures['peak_gib'][name]
        print(
            f'{name:10} {row["clips_per_second"]:9.2f} {row["seconds_per_clip"]:8.4f} '
            f'{low:8.4f}-{high:8.4f} {row["gmacs_per_clip"]:8.1f} '
            f'{row["gmacs_per_second"]:8.1f} {row["share_of_ceiling"]:8.0%} '
            f'{row["time_over_ours"]:9.2f} {row["loss"]:10.6f} '
            f'{"" if peak is None else f"{peak:9.2f}"}'
        )
    memory = figures['memory']
    print(
        f'\nkept in memory: {memory["fixed_gib"]:.2f} GiB for weights, gradients and optimiser, '
        f'{memory["mib_per_clip"]:.0f} MiB for each clip'
    )
    if memory['budget_gib'] is not None:
        print(f'largest batch in {memory["budget_gib"]:.0f} GiB: {memory["largest_batch"]} clips')


def profile(step: Step, batch: dict[str, torch.Tensor]) -> None:
    """Print where the time of one step goes."""
    with torch.profiler.profile() as prof:
        step(batch)
    key = 'self_cuda_time_total' if torch.cuda.is_available() else 'self_cpu_time_total'
    print(prof.key_averages().table(sort_by=key, row_limit=20, max_name_column_width=48))


if __name__ == '__main__':
    main()
