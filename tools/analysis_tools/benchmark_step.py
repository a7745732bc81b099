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
import platform
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from timm.layers import DropPath

from mmmae_st.analysis.pretraining_cost import find_masks, pretraining_cost
from mmmae_st.analysis.step_time import Timing, kept_bytes, matmul, peak_memory, time_in_turn
from mmmae_st.command_line import add_config_options, load_config, short_errors, tool_parser
from mmmae_st.models.weights import Weights, to_mae_st


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__)
    parser.add_argument('config', help='pretraining config')
    parser.add_argument('--batch', type=int, default=4, help='clips in a batch')
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
    parser.add_argument('--runs', type=int, default=7, help='counted steps')
    parser.add_argument('--warmup', type=int, default=2, help='steps before counting')
    parser.add_argument(
        '--budget-gib', type=float, help="memory to print the largest batch for (a GPU's, if any)"
    )
    parser.add_argument('--profile', action='store_true', help='print the rows of a profiled step')
    parser.add_argument('--out', help='write the figures to this JSON file')
    add_config_options(parser)
    args = parser.parse_args(argv)
    for name in ('batch', 'runs'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1, got {getattr(args, name)}')
    return args


class Step:
    """One of the things to time: a model with its optimiser on a fixed batch.

    Args:
        model: With the interface of ``SpatiotemporalMAE``.
        cfg: Its config, of which the optimiser is used.
        batch: Arguments of ``model.forward`` but ``mode``.
        args: The command line.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        cfg: Config,
        batch: dict[str, torch.Tensor],
        args: argparse.Namespace,
    ) -> None:
        self.model = model.to(args.device)
        self.batch = batch
        wrapper = copy.deepcopy(cfg.optim_wrapper)
        wrapper.type = 'OptimWrapper'
        wrapper.pop('force_bfloat16', None)
        if args.amp:  # what was asked for is measured, on any hardware
            wrapper.update(type='mmmae_st.BFloat16OptimWrapper', force_bfloat16=True)
        wrapper.accumulative_counts = 1
        self.wrapper = build_optim_wrapper(self.model, wrapper)
        self.forward = torch.compile(model) if args.compile else model

    def __call__(self) -> None:
        """Train on the batch."""
        self.wrapper.update_params(self.forward_pass())

    def forward_pass(self) -> torch.Tensor:
        """Loss on the batch, with its graph."""
        with self.wrapper.optim_context(self.model):
            return self.forward(**self.batch, mode='loss')['loss']

    @torch.no_grad()
    def loss(self) -> float:
        """Loss on the batch; the model stays as it is."""
        with self.wrapper.optim_context(self.model):
            return self.model(**self.batch, mode='loss')['loss'].item()


def require_plain(ours: torch.nn.Module, option: str) -> None:
    """Raise a ValueError for what the other implementations do not have."""
    drops = any(isinstance(module, DropPath) for module in ours.backbone.modules())
    head = ours.head
    if head.target == 'hog' or head.frames != 'linspace' or ours.dense or drops:
        raise ValueError(
            f"{option} knows pixel targets, head.frames='linspace', the sparse encoder and "
            'drop_path_rate=0'
        )


class Reference(torch.nn.Module):
    """The plain reference behind the interface of ``SpatiotemporalMAE``."""

    def __init__(self, ours: torch.nn.Module) -> None:
        super().__init__()
        try:
            from references.mae_st import MaeStPretrain
        except ModuleNotFoundError as missing:
            raise SystemExit(
                f'--reference needs a checkout: the references are not in the package ({missing})'
            ) from missing
        require_plain(ours, '--reference')
        backbone, decoder, head = ours.backbone, ours.decoder, ours.head
        t, h, _ = backbone.grid
        self.plain = MaeStPretrain(
            decoder_embed_dim=decoder.embed_dims,
            decoder_depth=len(decoder.blocks),
            decoder_num_heads=decoder.num_heads,
            norm_pix_loss=head.target == 'normalized_pixels',
            encoder=dict(
                embed_dim=backbone.embed_dims,
                depth=len(backbone.blocks),
                num_heads=backbone.num_heads,
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


class HuggingFace(torch.nn.Module):
    """``VideoMAEForPreTraining`` of our sizes behind the interface of ``SpatiotemporalMAE``.

    It has no class token, predicts all frames of a patch and starts from its own weights, so its
    loss is another one.
    """

    def __init__(self, ours: torch.nn.Module) -> None:
        super().__init__()
        try:
            from transformers import VideoMAEConfig, VideoMAEForPreTraining
        except ImportError as error:
            raise SystemExit(
                '--huggingface needs transformers: pip install transformers'
            ) from error
        require_plain(ours, '--huggingface')
        backbone, decoder = ours.backbone, ours.decoder
        t, h, _ = backbone.grid
        config = VideoMAEConfig(
            image_size=h * backbone.patch_size,
            patch_size=backbone.patch_size,
            num_frames=t * backbone.tubelet_size,
            tubelet_size=backbone.tubelet_size,
            hidden_size=backbone.embed_dims,
            num_hidden_layers=len(backbone.blocks),
            num_attention_heads=backbone.num_heads,
            intermediate_size=4 * backbone.embed_dims,
            decoder_hidden_size=decoder.embed_dims,
            decoder_num_hidden_layers=len(decoder.blocks),
            decoder_num_attention_heads=decoder.num_heads,
            decoder_intermediate_size=4 * decoder.embed_dims,
            norm_pix_loss=ours.head.target == 'normalized_pixels',
        )
        self.videomae = VideoMAEForPreTraining(config)
        self.patches = t * h * h

    def forward(
        self, inputs: torch.Tensor, ids_keep: torch.Tensor, mode: str
    ) -> dict[str, torch.Tensor]:
        """``dict(loss=...)``."""
        assert mode == 'loss'
        removed = inputs.new_ones(len(inputs), self.patches, dtype=torch.bool)
        removed.scatter_(1, ids_keep, False)
        return dict(loss=self.videomae(inputs.transpose(1, 2), bool_masked_pos=removed).loss)


def make_batch(
    model: torch.nn.Module, cfg: Config, args: argparse.Namespace
) -> dict[str, torch.Tensor]:
    """Random clips, normalised, and ids as the config draws them."""
    backbone, generator = model.backbone, torch.Generator().manual_seed(0)
    t, h, w = backbone.grid
    size = t * backbone.tubelet_size, h * backbone.patch_size, w * backbone.patch_size
    clips = torch.randint(0, 256, (args.batch, 3, *size), dtype=torch.uint8, generator=generator)
    masks = find_masks(cfg)
    drawn = [masks.draw(backbone.grid, np.random.default_rng(i)) for i in range(args.batch)]
    batch = dict(inputs=list(clips[:, None]))
    for key, ids in zip(('ids_keep', 'ids_predict'), zip(*drawn, strict=True), strict=True):
        if ids[0] is not None:
            batch[key] = [torch.from_numpy(row)[None] for row in ids]
    return model.data_preprocessor(batch)


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
        cfg = load_config(args.config, args.cfg_options)
        init_default_scope(cfg.get('default_scope', 'mmmae_st'))
        measure(cfg, args)


def measure(cfg: Config, args: argparse.Namespace) -> None:
    """Time all variants of a config and write the figures."""
    device = torch.device(args.device)
    configs = variants(cfg, args)
    steps = {}
    for name, variant in configs.items():
        torch.manual_seed(0)
        model = MODELS.build(variant.model).to(device)
        steps[name] = Step(model, variant, make_batch(model, variant, args), args)
    ours = steps['ours']
    if args.reference:
        steps['reference'] = Step(Reference(ours.model), cfg, ours.batch, args)
    if args.huggingface:
        steps['huggingface'] = Step(HuggingFace(ours.model), cfg, ours.batch, args)
    configs.update({name: cfg for name in steps if name not in configs})
    losses = {name: step.loss() for name, step in steps.items()}

    product, product_macs = matmul(device, torch.bfloat16 if args.amp else torch.float32)
    times = time_in_turn({'matmul': product, **steps}, device, args.runs, args.warmup)
    figures = summarise(configs, args, times, losses, product_macs)
    for name, step in steps.items():
        peak = peak_memory(step, device)
        figures['models'][name].update(
            kept_mib_per_clip=kept_bytes(step.forward_pass, step.model) / args.batch / 2**20,
            peak_gib=None if peak is None else peak / 2**30,
        )
    figures['memory'] = memory(cfg, args, steps['ours'].model)
    report(figures)
    if args.profile:
        profile(steps['ours'])
    if args.out:
        Path(args.out).write_text(json.dumps(figures, indent=2) + '\n')


def summarise(
    configs: dict[str, Config],
    args: argparse.Namespace,
    times: dict[str, Timing],
    losses: dict[str, float],
    product_macs: int,
) -> dict:
    """Rates and ratios, plain data."""
    ceiling = product_macs / times['matmul'].median
    device = torch.device(args.device)
    if device.type == 'cuda':
        name = torch.cuda.get_device_name(device)
    else:
        name = f'{platform.machine()} {torch.backends.cpu.get_cpu_capability()}'
    figures = dict(
        config=args.config,
        device=f'{device.type} {name}',
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        dtype='bfloat16' if args.amp else 'float32',
        compiled=args.compile,
        batch=args.batch,
        mask_ratio=pretraining_cost(configs['ours']).mask_ratio,
        ceiling_gmacs_per_second=ceiling / 1e9,
        models={},
    )
    for key, cfg in configs.items():
        # A backward pass multiplies twice as much as the forward pass. The others are given what
        # ours needs, so that their rate is that of useful work.
        macs = 3 * pretraining_cost(cfg).executed['dense' if key == 'dense' else 'sparse']
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
