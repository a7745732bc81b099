"""Curves of one or several runs in one PNG, and a table of what they come to.

The curves: training loss, learning rate, gradient norm, throughput, share of the time that went
to waiting for data, GPU memory, and every metric of validation. A resumed run is one curve.

examples:
  analyze_logs.py work_dirs/mae_st_vitl_k400
  analyze_logs.py work_dirs/run_a work_dirs/run_b --names a b --x hours --out compare.png
"""

import argparse
import json

from mmmae_st.analysis.logs import format_summaries, read_run, summarise
from mmmae_st.command_line import number, short_errors, tool_parser
from mmmae_st.fileio.atomic_file import require_writable
from mmmae_st.visualization.curves import X_AXES, curves_figure, save_figure


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__)
    parser.add_argument(
        'runs', nargs='+', metavar='RUN', help='work directories, or files scalars.json'
    )
    parser.add_argument('--names', nargs='+', help='names of the runs; by default of the folders')
    parser.add_argument('--x', choices=X_AXES, default='epoch', help='what runs to the right')
    parser.add_argument(
        '--window',
        type=number(int, 1),
        help='logged losses to average over; by default a fiftieth of them',
    )
    parser.add_argument('--out', default='curves.png', help='picture to write')
    parser.add_argument('--json', action='store_true', help='write JSON instead of the table')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Draw the curves and write the table to the standard output."""
    args = parse_args(argv)
    with short_errors():
        require_writable(args.out)
        runs = [read_run(path) for path in args.runs]
        if args.names and len(args.names) != len(runs):
            raise ValueError(f'{len(args.names)} --names were given for {len(runs)} runs')
        for run, name in zip(runs, args.names or [run.name for run in runs], strict=True):
            run.name = name
        save_figure(curves_figure(runs, args.x, args.window), args.out)
        summaries = {run.name: summarise(run) for run in runs}
        print(json.dumps(summaries, indent=1) if args.json else format_summaries(summaries))


if __name__ == '__main__':
    main()
