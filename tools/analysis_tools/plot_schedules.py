"""Plot the learning rate of configs over the epochs, and their layer decay.

Nothing is trained and no other package is needed, so the schedule of a recogniser can be looked
at without mmaction2.

examples:
  plot_schedules.py configs/mae_st_vitl_k400.py
  plot_schedules.py configs/finetune/vitb_k400.py configs/finetune/vitl_k400.py --out lr.png
"""

import argparse
from pathlib import Path

from mmmae_st.analysis.schedules import config_schedule
from mmmae_st.command_line import add_config_options, load_config, short_errors, tool_parser
from mmmae_st.fileio.atomic_file import require_writable
from mmmae_st.visualization.curves import save_figure, schedules_figure


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__)
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='config files')
    parser.add_argument('--out', default='schedules.png', help='picture to write')
    add_config_options(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Plot the schedules and say the extremes."""
    args = parse_args(argv)
    with short_errors():
        require_writable(args.out)
        schedules = []
        for path in args.configs:
            cfg = load_config(path, args.cfg_options, import_modules=False)
            schedules.append(config_schedule(cfg, Path(path).stem))
        save_figure(schedules_figure(schedules), args.out)
        for schedule in schedules:
            rates = schedule.learning_rates
            print(
                f'{schedule.name}: {rates[0]:.4g} at the start, {max(rates):.4g} at epoch '
                f'{schedule.epochs[rates.index(max(rates))]:g}, {rates[-1]:.4g} at the end'
                + (
                    f'; layer 0 at {schedule.layer_scales[0]:.5g} of it'
                    if schedule.layer_scales
                    else ''
                )
            )


if __name__ == '__main__':
    main()
