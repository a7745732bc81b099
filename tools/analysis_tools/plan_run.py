"""How long a run will take, what holds it up, and what would mend that.

The step is measured on the GPU of this machine, or on the CPU with --device cpu; --step takes it
from a file that benchmark_step.py has written on another machine. The loader is measured on some
videos of the config, or of --data, as processor time of one core; a few are prepared for trial, to
say what that would win. --loader takes both from a file of benchmark_loader.py. What cannot be
known here is said to be unknown.

examples:
  plan_run.py configs/mae_st_vitl_k400.py --gpus 8
  plan_run.py configs/mae_st_vitl_k400.py --gpus 8 --cores 96 --data data/kinetics400/videos_train
  plan_run.py configs/mae_st_vitl_k400.py --gpus 8 --step step.json --loader loader.json
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from mmmae_st.analysis.run_plan import RunPlan
from mmmae_st.command_line import (
    add_config_options,
    load_config,
    number,
    short_errors,
    tool_parser,
)
from mmmae_st.datasets.annotations import scan_folder
from mmmae_st.datasets.prepared import SETTINGS_FILE

TOOLS = Path(__file__).parents[1]


class LoaderRates(NamedTuple):
    """Clips/s of one core out of the videos as they are and out of prepared ones; and how."""

    now: float | None
    prepared: float | None
    how: str


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__)
    parser.add_argument('config', help='config with a train_dataloader of ours')
    parser.add_argument('--gpus', type=number(int, 1), default=1, help='devices of the run')
    parser.add_argument(
        '--cores',
        type=number(int, 1),
        default=os.cpu_count(),
        help='cores of all machines of the run',
    )
    parser.add_argument('--data', metavar='PATH', help="folder of videos; by default the config's")
    parser.add_argument(
        '--num-videos', type=number(int, 1), help='of the set, where it is not here'
    )
    parser.add_argument('--tried', type=number(int, 1), default=4, help='videos that are measured')
    parser.add_argument(
        '--device', choices=['cuda', 'cpu'], help='where the step is measured; by default the GPU'
    )
    parser.add_argument('--batch', type=number(int, 1), default=8, help='clips of a measured step')
    parser.add_argument('--step', metavar='FILE', help='of benchmark_step.py --out')
    parser.add_argument('--loader', metavar='FILE', help='of benchmark_loader.py --out')
    add_config_options(parser)
    return parser.parse_args(argv)


def find_videos(cfg: Config, data: str | None) -> tuple[list[str], str]:
    """The videos of the set and the folder where they are; none if the set is not here."""
    if data is None:
        given = dict(cfg.train_dataloader.dataset, pipeline=[])
        init_default_scope(cfg.get('default_scope', 'mmmae_st'))
        try:
            dataset = DATASETS.build(given)
        except OSError:
            return [], ''
        paths = [dataset.get_data_info(i)['path'] for i in range(len(dataset))]
        return paths, dataset.data_prefix['video']
    return [os.path.join(data, record['path']) for record in scan_folder(data)], data


def clips_of_run(cfg: Config, videos: int | None, gpus: int) -> int | None:
    """Clips that all devices see; None where the number of videos is not known."""
    loader, train = cfg.train_dataloader, cfg.train_cfg
    views = loader.dataset.pipeline[0].get('num_clips', 1)
    if train.get('max_iters'):
        return train.max_iters * loader.batch_size * gpus * views
    return None if videos is None else train.max_epochs * videos * views


def read_figures(path: str, key: str) -> Any:
    """What a benchmark has written under a key."""
    try:
        return json.loads(Path(path).read_text())[key]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f'{path} holds no {key!r} as the benchmarks write it with --out'
        ) from error


def device_rate(args: argparse.Namespace) -> float | None:
    """Clips/s that one device takes; None where there is none here."""
    if args.step:
        return read_figures(args.step, 'models')['ours']['clips_per_second']
    device = args.device or ('cuda' if torch.cuda.is_available() else None)
    if device is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, 'step.json')
        command = [sys.executable, TOOLS / 'analysis_tools' / 'benchmark_step.py', args.config]
        command += ['--device', device, '--batch', str(args.batch), '--runs', '3', '--out', out]
        if device == 'cuda':
            command.append('--amp')
        if args.cfg_options:
            command += ['--cfg-options', *(f'{k}={v}' for k, v in args.cfg_options.items())]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode:
            raise ValueError(f'benchmark_step.py failed: {done.stderr.strip().splitlines()[-1]}')
        return json.loads(out.read_text())['models']['ours']['clips_per_second']


def loader_rates(args: argparse.Namespace, videos: list[str], folder: str) -> LoaderRates:
    """What one core loads."""
    if args.loader:
        workers = max(read_figures(args.loader, 'workers'), 1)
        rows = read_figures(args.loader, 'loaders')
        prepared = rows.get('prepared', {}).get('clips_per_second')
        return LoaderRates(
            rows['ours']['clips_per_second'] / workers,
            None if prepared is None else prepared / workers,
            'prepared videos, as in ' + args.loader,
        )
    if not videos:
        return LoaderRates(None, None, '')
    sys.path.append(str(TOOLS / 'dataset_converters'))
    from encoding import CODECS, Job, Settings, run
    from needs import needs_of_config
    from trial import clips_a_second, spread

    needs = needs_of_config(args.config)
    settings = Settings(needs.short_side, needs.fps, 'mpeg4', CODECS['mpeg4'].quality, 16)
    with tempfile.TemporaryDirectory() as target:
        chosen = spread(
            [
                Job(v, os.path.join(target, f'{i}.mp4'), settings, None)
                for i, v in enumerate(videos)
            ],
            args.tried,
        )
        for job in chosen:
            run(job)
        now, prepared = clips_a_second(chosen, needs.pipeline)
    if os.path.exists(os.path.join(folder, SETTINGS_FILE)):
        return LoaderRates(now, None, '')
    rate = 'all frames' if needs.fps is None else f'{needs.fps:g} frames/s'
    return LoaderRates(
        now,
        prepared,
        f'prepare at {rate} and {needs.short_side} pixels '
        f'(tools/dataset_converters/prepare_videos.py --for {args.config})',
    )


def main(argv: list[str] | None = None) -> None:
    """Measure what is not given, and print the plan."""
    args = parse_args(argv)
    with short_errors():
        cfg = load_config(args.config, args.cfg_options)
        if 'train_dataloader' not in cfg or 'train_cfg' not in cfg:
            raise ValueError(f'{args.config} has no train_dataloader or no train_cfg')
        videos, folder = find_videos(cfg, args.data)
        rates = loader_rates(args, videos, folder)
        number = args.num_videos or len(videos) or None
        plan = RunPlan(
            args.gpus,
            args.cores,
            clips_of_run(cfg, number, args.gpus),
            device_rate(args),
            rates.now,
            rates.prepared,
            rates.how,
        )
    print('\n'.join(plan.lines()))
    if plan.device_rate is None:
        print('no GPU here: give --step FILE of benchmark_step.py, or --device cpu')
    if plan.core_rate is None:
        print('no videos here: give --data PATH, or --loader FILE of benchmark_loader.py')
    if plan.clips is None:
        print('how many videos there are is not known here: give --num-videos N')


if __name__ == '__main__':
    main()
