"""Which checkpoint of a pretraining is best, as far as that can be told without labels.

Measures frozen features of a few clips, of val_dataloader or else of training, for each
checkpoint epoch_N.pth (or iter_N.pth) of a work directory: what FeatureMonitorHook does during a
run. Writes a picture and a table, best checkpoint first. docs/monitor.md tells what the measures
are, and how far they can be trusted. A run keeps all its checkpoints with
default_hooks.checkpoint.max_keep_ckpts=-1.

examples:
  monitor.py work_dirs/mae_st_vitb_folder_1gpu
  monitor.py work_dirs/run --dataset data_root=/path/to/clips --num-videos 128 --by retrieval
"""

import argparse
import json
import re

import torch
from tqdm import tqdm

from mmmae_st.apis.monitor import checkpoints_of, monitor, monitored_clips, training_config
from mmmae_st.command_line import (
    Overrides,
    add_amp_options,
    load_config,
    number,
    short_errors,
    tool_parser,
)
from mmmae_st.evaluation.monitor_reading import LOWER_IS_BETTER, MEASURES, diagnosis
from mmmae_st.fileio.atomic_file import require_writable, write_whole
from mmmae_st.visualization.curves import save_figure
from mmmae_st.visualization.monitor_curves import monitor_figure


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__)
    parser.add_argument('run', metavar='RUN', help='work directory of a pretraining')
    parser.add_argument('--config', help='config of the run, where its checkpoints do not hold it')
    parser.add_argument(
        '--dataset',
        nargs='+',
        action=Overrides,
        metavar='KEY=VALUE',
        help='what is different from the training set for the videos to measure with',
    )
    parser.add_argument(
        '--num-videos', type=number(int, 1), default=64, help='videos to measure with'
    )
    parser.add_argument(
        '--num-clips', type=number(int, 2), default=4, help='clips of each, 2 or more'
    )
    parser.add_argument('--by', choices=MEASURES, default='loss', help='what ranks the checkpoints')
    parser.add_argument('--out', default='monitor.png', help='picture to write')
    parser.add_argument('--json', metavar='FILE', help='also write the measures')
    parser.add_argument(
        '--device', default='cuda' if torch.cuda.is_available() else 'cpu', help='where to compute'
    )
    add_amp_options(parser)
    return parser.parse_args(argv)


def table(names: list[str], history: list[dict[str, float]], by: str) -> str:
    """Checkpoints and their measures, best first."""
    sign = 1 if by in LOWER_IS_BETTER else -1
    order = sorted(range(len(names)), key=lambda i: sign * history[i].get(by, sign * float('inf')))
    keys = [key for key in MEASURES if any(key in measures for measures in history)]
    rows = [['', *keys]]
    rows += [[names[i], *(_number(history[i].get(key)) for key in keys)] for i in order]
    widths = [max(len(row[column]) for row in rows) for column in range(len(keys) + 1)]
    return '\n'.join(
        '  '.join(text.rjust(width) for text, width in zip(row, widths, strict=True))
        for row in rows
    )


def _number(value: float | None) -> str:
    return '-' if value is None else f'{value:.3g}'


def main(argv: list[str] | None = None) -> None:
    """Measure, draw, and write the table."""
    args = parse_args(argv)
    with short_errors():
        require_writable(args.out)
        checkpoints = checkpoints_of(args.run)
        config = load_config(args.config) if args.config else None
        source, clips = monitored_clips(
            config or training_config(checkpoints[-1]),
            args.num_videos,
            args.num_clips,
            args.dataset,
        )
        found = monitor(checkpoints, clips, args.num_clips, config, args.device, args.amp)
        history = list(tqdm(found, total=len(checkpoints), unit='checkpoint', disable=None))
        places = [int(re.sub(r'\D', '', path.stem)) for path in checkpoints]
        unit = checkpoints[0].stem.split('_')[0]
        save_figure(monitor_figure(places, history, unit, args.run), args.out)
        names = [path.name for path in checkpoints]
        if args.json:
            write_whole(args.json, json.dumps(dict(zip(names, history, strict=True)), indent=1))
        print(f'{len(clips)} videos {source}, {args.num_clips} clips of each; best first, by')
        print(f'{args.by}, which {"falls" if args.by in LOWER_IS_BETTER else "rises"}:')
        print(table(names, history, args.by))
        trouble = diagnosis(history)
        if trouble is not None:
            print(f'{names[-1]}: {trouble[1]}.')


if __name__ == '__main__':
    main()
