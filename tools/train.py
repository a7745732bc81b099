"""Train from a config (pretraining, fine-tuning, detection), or pretrain on a folder of videos.

For a folder a config is chosen that fits the machine; what was chosen is said, and why.
"""

import argparse
import os

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import MODELS, OPTIM_WRAPPERS, RUNNERS

from mmmae_st import command_line
from mmmae_st.config import check_config
from mmmae_st.config.presets import PRESETS, find_hardware, plan_for_folder
from mmmae_st.engine.hooks.preemption import preemptible
from mmmae_st.engine.optimizers.bfloat16 import BFloat16OptimWrapper
from mmmae_st.engine.runner.ending import one_cause
from mmmae_st.engine.runner.launch import prepare_runtime
from mmmae_st.engine.runner.quiet import QuietRunner, quieten_warnings
from mmmae_st.engine.runner.resume import nothing_left_behind, require_own_work_dir, set_resume
from mmmae_st.engine.runner.sets import require_sets
from mmmae_st.fileio.safe_loading import use_safe_loading
from mmmae_st.models import SpatiotemporalMAE
from mmmae_st.registry import is_component, type_name


def parse_args() -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = command_line.tool_parser(__doc__)
    parser.add_argument('config', help='config file or its short name, or folder of videos')
    parser.add_argument('--work-dir', help='logs and checkpoints; work_dirs/<config> by default')
    parser.add_argument('--preset', choices=PRESETS, help='model and recipe for a folder of videos')
    parser.add_argument(
        '--epochs', type=command_line.number(int, 1), help='epochs for a folder of videos'
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint, or from the newest sound one of the work directory',
    )
    command_line.add_amp_options(parser)
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by videos per update over auto_scale_lr.base_batch_size',
    )
    command_line.add_config_options(parser)
    command_line.add_trust_option(parser)
    command_line.add_launcher_options(parser)
    return command_line.parse_launched(parser)


def load_config(args: argparse.Namespace) -> Config:
    """The config with what the command line changes in it."""
    if os.path.isdir(args.config):
        use_preset(args)
    elif args.preset or args.epochs:
        raise ValueError(
            f'--preset and --epochs are for a folder of videos, and {args.config} is none; '
            'a config has train_cfg.max_epochs and param_scheduler'
        )
    try:
        cfg = command_line.load_run_config(args)
    except FileNotFoundError as error:
        if os.path.exists(args.config):
            raise
        raise FileNotFoundError(f'there is no folder of videos {args.config}; {error}') from error
    if args.amp:
        enable_amp(cfg, args.amp == 'force')
    if args.auto_scale_lr:
        cfg.auto_scale_lr = dict(cfg.get('auto_scale_lr', {}), enable=True)
    if cfg.get('auto_scale_lr', {}).get('enable', False):
        count_accumulated_steps(cfg)
    if args.resume:
        set_resume(cfg, args.resume, args.trust_checkpoint)
    if not cfg.get('resume') and cfg.get('load_from') and is_ours(cfg, 'model', SpatiotemporalMAE):
        # Our loader knows foreign files too, and refuses what does not fill the model.
        cfg.model.init_cfg = dict(type='Pretrained', checkpoint=cfg.load_from)
        cfg.load_from = None
    return cfg


def use_preset(args: argparse.Namespace) -> None:
    """Put a config that fits the machine, and its overrides, in place of a folder of videos."""
    processes = int(os.environ.get('WORLD_SIZE', '1'))
    plan = plan_for_folder(args.config, find_hardware(), processes, args.preset, args.epochs)
    if os.environ.get('RANK', '0') == '0':
        print(plan.told, flush=True)
    args.config = plan.config
    args.cfg_options = plan.options | (args.cfg_options or {})
    args.work_dir = args.work_dir or os.path.join('work_dirs', plan.name)


def is_ours(cfg: Config, part: str, base: type) -> bool:
    """Whether the config's model or optimiser wrapper is of a class, or of one derived from it."""
    registry = dict(model=MODELS, optim_wrapper=OPTIM_WRAPPERS)[part]
    return is_component(registry, cfg.get(part), base, cfg.get('default_scope') or 'mmmae_st')


def enable_amp(cfg: Config, force: bool = False) -> None:
    """Let the forward pass run under bfloat16 autocast, with ``force`` on any hardware.

    Raises:
        ValueError: If the optimiser wrapper is neither mmengine's plain one nor one of ours.
    """
    if force:
        cfg.optim_wrapper.force_bfloat16 = True
    if is_ours(cfg, 'optim_wrapper', BFloat16OptimWrapper):
        return
    kind = type_name(cfg.optim_wrapper)
    if kind not in ('', 'OptimWrapper', 'AmpOptimWrapper'):
        raise ValueError(
            f'--amp replaces OptimWrapper or AmpOptimWrapper, but optim_wrapper.type is {kind!r}'
        )
    cfg.optim_wrapper.type = 'mmmae_st.BFloat16OptimWrapper'


def count_accumulated_steps(cfg: Config) -> None:
    """Count accumulated steps into the batch by which the Runner scales the learning rate."""
    base = cfg.auto_scale_lr.get('base_batch_size')
    if base is None:
        raise ValueError(
            '--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=...) in the config: the '
            'videos per update that optim_wrapper.optimizer.lr is meant for'
        )
    steps = cfg.optim_wrapper.get('accumulative_counts', 1)
    if base % steps:
        raise ValueError(
            f'auto_scale_lr.base_batch_size={base} must be a multiple of '
            f'optim_wrapper.accumulative_counts={steps}'
        )
    cfg.auto_scale_lr.base_batch_size = base // steps
    print_log(
        f'The learning rate is scaled: {cfg.optim_wrapper.optimizer.lr} is for {base} videos per '
        f'update; with {steps} accumulated steps a step stands for {base // steps}',
        logger='current',
    )


def main() -> None:
    """Check the config, build the Runner and train."""
    args = parse_args()
    quieten_warnings()
    use_safe_loading(args.trust_checkpoint)
    with command_line.short_errors():
        cfg = load_config(args)
        require_own_work_dir(cfg)
        check_config(cfg)
        prepare_runtime(cfg)
    with one_cause(), nothing_left_behind(cfg.work_dir):
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else QuietRunner.from_cfg(cfg)
        with command_line.short_errors():
            require_sets(runner)
        with preemptible(runner):
            runner.train()


if __name__ == '__main__':
    main()
