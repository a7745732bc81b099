"""Test a fine-tuned recogniser or detector; the metrics are printed and logged."""

import argparse
from textwrap import shorten

import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmmae_st import command_line
from mmmae_st.config import check_config
from mmmae_st.engine.runner.ending import one_cause
from mmmae_st.engine.runner.launch import prepare_runtime
from mmmae_st.engine.runner.quiet import QuietRunner, quieten_warnings
from mmmae_st.engine.runner.sets import classes_of, require_labels
from mmmae_st.engine.runner.wrapped_model import unwrapped
from mmmae_st.fileio.safe_loading import use_safe_loading
from mmmae_st.precision import Amp, use_bfloat16


def parse_args() -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = command_line.tool_parser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint of a run of this config')
    parser.add_argument('--work-dir', help='logs; work_dirs/<config> by default')
    parser.add_argument('--dump', metavar='FILE.pkl', help='write the prediction of each video')
    command_line.add_amp_options(parser)
    command_line.add_config_options(parser)
    command_line.add_trust_option(parser)
    command_line.add_launcher_options(parser)
    return command_line.parse_launched(parser)


def load_config(args: argparse.Namespace) -> Config:
    """The config with what the command line changes in it."""
    cfg = command_line.load_run_config(args)
    cfg.load_from, cfg.resume = None, False
    for part in ('test_dataloader', 'test_evaluator', 'test_cfg'):
        if cfg.get(part) is None:
            raise ValueError(f'testing needs {part}, which {args.config} does not have')
    if args.dump:
        dump = dict(type='DumpResults', out_file_path=args.dump)
        given = cfg.test_evaluator
        cfg.test_evaluator = [*(given if isinstance(given, list | tuple) else [given]), dump]
    return cfg


def run_in_bfloat16(backbone: nn.Module, amp: Amp) -> None:
    """Run the backbone, nearly all of the work, under autocast; scores stay in float32."""
    forward = backbone.forward
    device = next(backbone.parameters()).device
    if not use_bfloat16(amp, device):
        return

    def autocast_forward(clips: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            return forward(clips).float()

    backbone.forward = autocast_forward


def main() -> None:
    """Check the config, build the Runner, load every weight of the model and test."""
    args = parse_args()
    quieten_warnings()
    use_safe_loading(args.trust_checkpoint)
    with command_line.short_errors():
        cfg = load_config(args)
        check_config(cfg)
        prepare_runtime(cfg)
    with one_cause():
        test(cfg, args)


def test(cfg: Config, args: argparse.Namespace) -> None:
    """Test the checkpoint.

    Raises:
        SystemExit: With one line if the list or the checkpoint are not those of the model.
    """
    runner = QuietRunner.from_cfg(cfg)
    with command_line.short_errors():
        require_labels(runner.test_loop.dataloader, classes_of(runner.model))
        try:
            runner.load_checkpoint(args.checkpoint, strict=True)
        except RuntimeError as error:
            hint = '; a pretraining checkpoint has to be fine-tuned first (tools/train.py)'
            cause = shorten(str(error), 300)  # every parameter is named
            raise ValueError(
                f'{args.checkpoint} is no checkpoint of the model of {args.config}: {cause}'
                + (hint if 'decoder.' in str(error) else '')
            ) from error
    if args.amp:
        run_in_bfloat16(unwrapped(runner.model).backbone, args.amp)
    runner.test()


if __name__ == '__main__':
    main()
