"""Evaluate a frozen encoder: k-NN, linear probe, attentive probe. A table comes at the end.

python tools/frozen_eval.py configs/frozen/vitl_k400.py CHECKPOINT knn linear attentive
"""

import argparse
import os
import time
from functools import partial

import torch
from mmengine.config import Config
from mmengine.dist import init_dist, is_distributed, is_main_process
from mmengine.logging import MMLogger, print_log
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mmmae_st import command_line
from mmmae_st.config import check_config
from mmmae_st.engine.runner.ending import one_cause
from mmmae_st.engine.runner.launch import prepare_runtime
from mmmae_st.evaluation import (
    AttentiveProbe,
    Features,
    LinearProbe,
    extract_features,
    knn_accuracy,
    probe_accuracy,
)
from mmmae_st.models.weights import load_pretrained
from mmmae_st.registry import MODELS

METHODS = ('knn', 'linear', 'attentive')
Row = tuple[str, str, float, float]


def parse_args() -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = command_line.tool_parser(__doc__)
    parser.add_argument('config', help='config file, of configs/frozen')
    parser.add_argument('checkpoint', help='pretraining, recogniser or foreign checkpoint')
    parser.add_argument('methods', nargs='+', choices=METHODS, help='what to evaluate with')
    parser.add_argument('--work-dir', help='log and features; work_dirs/<config> by default')
    command_line.add_amp_options(parser)
    command_line.add_config_options(parser)
    command_line.add_launcher_options(parser)
    return command_line.parse_launched(parser)


def load_config(args: argparse.Namespace) -> Config:
    """The config with what the command line changes in it."""
    cfg = command_line.load_run_config(args, prefix='frozen_')
    for method in METHODS:  # what is not asked for need not fit
        if method not in args.methods:
            cfg.pop(method, None)
        elif method not in cfg:
            raise ValueError(f'{method} needs its options, {method}=dict(...), in {args.config}')
    return cfg


def features_of(
    cfg: Config, args: argparse.Namespace, out_type: str, token_grid: tuple | None, device: str
) -> tuple[Features, Features]:
    """Features of the training and the test videos."""
    backbone = MODELS.build(dict(cfg.backbone, out_type=out_type))
    with command_line.short_errors():
        load_pretrained(backbone, args.checkpoint)
    backbone.to(device).requires_grad_(False)
    preprocessor = MODELS.build(cfg.data_preprocessor).to(device)
    return tuple(
        extract_features(
            backbone,
            preprocessor,
            Runner.build_dataloader(loader),
            os.path.join(cfg.work_dir, 'features'),
            token_grid,
            args.amp,
        )
        for loader in (cfg.train_dataloader, cfg.test_dataloader)
    )


def evaluate(
    method: str, cfg: Config, features: tuple[Features, Features], device: str
) -> list[Row]:
    """Rows of the table."""
    train, test = features
    options = dict(cfg[method])
    if method == 'knn':
        wanted = options['num_neighbors']
        fitting = [k for k in wanted if k <= len(train.labels)]
        if 0 < len(fitting) < len(wanted):
            text = f'k-NN with k = {fitting}: there are {len(train.labels)} training videos'
            print_log(text, logger='current')
            options['num_neighbors'] = fitting
        found = knn_accuracy(train, test, **options, device=device)
        return [('k-NN', f'k = {k}', *accuracy) for k, accuracy in found.items()]
    if method == 'linear':
        found = probe_accuracy(train, test, LinearProbe, **options, device=device)
        return [('linear probe', f'lr = {lr:g}', *accuracy) for lr, accuracy in found.items()]
    options.pop('token_grid')
    build = partial(AttentiveProbe, num_heads=options.pop('num_heads'))
    found = probe_accuracy(train, test, build, **options, device=device)
    return [('attentive probe', f'lr = {lr:g}', *accuracy) for lr, accuracy in found.items()]


def table(rows: list[Row]) -> str:
    """The rows as text, accuracies in percent."""
    lines = [f'{"method":<16}  {"setting":<12}{"top-1":>8}{"top-5":>8}']
    lines += [
        f'{method:<16}  {setting:<12}{100 * top1:>8.2f}{100 * top5:>8.2f}'
        for method, setting, top1, top5 in rows
    ]
    return '\n'.join(lines)


def main() -> None:
    """Check the config and evaluate."""
    args = parse_args()
    with command_line.short_errors():
        cfg = load_config(args)
        check_config(cfg)
    with one_cause():
        prepare_runtime(cfg)
        run(cfg, args)


def run(cfg: Config, args: argparse.Namespace) -> None:
    """Extract what the methods need, evaluate, write the table."""
    if cfg.launcher != 'none' and not is_distributed():
        init_dist(cfg.launcher)
    os.makedirs(cfg.work_dir, exist_ok=True)
    logger = MMLogger.get_instance(
        f'frozen_eval_{time.time_ns()}',
        logger_name='mmengine',
        log_file=os.path.join(cfg.work_dir, 'frozen_eval.log'),
    )
    DefaultScope.get_instance(logger.instance_name, scope_name='mmmae_st')
    device = 'cuda' if torch.cuda.is_available() else 'cpu'

    pooled = tokens = None
    if {'knn', 'linear'} & set(args.methods):
        pooled = features_of(cfg, args, 'pooled', None, device)
    if 'attentive' in args.methods:
        tokens = features_of(cfg, args, 'featmap', cfg.attentive.token_grid, device)
    if not is_main_process():
        return
    rows: list[Row] = []
    for method in args.methods:
        rows += evaluate(method, cfg, tokens if method == 'attentive' else pooled, device)
    logger.info(f'{args.checkpoint}, in percent:\n{table(rows)}')


if __name__ == '__main__':
    main()
