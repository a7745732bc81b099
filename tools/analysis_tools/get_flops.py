"""Count parameters, multiply-adds, tokens and activation memory of a config's model.

Nothing is computed and no weight is allocated, so every model takes seconds on any machine.
Multiply-adds are what the papers call FLOPs; only matrix products count. Pretraining is reported
for the sparse and the dense encoder, as this code runs and as the paper counts.

examples:
  get_flops.py configs/mae_st_vitl_k400.py
  get_flops.py configs/mae_st_vith_k400.py --ratio 0.95 --shape 32 224 224
  get_flops.py configs/finetune/vitl_k400.py --views 15 --json
"""

import argparse
import json

from mmmae_st.analysis.config_cost import config_cost, format_cost
from mmmae_st.command_line import (
    add_config_options,
    load_config,
    number,
    short_errors,
    tool_parser,
)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__)
    parser.add_argument('config', help='config file: pretraining, recognition or detection')
    parser.add_argument(
        '--shape',
        nargs=3,
        type=int,
        metavar=('T', 'H', 'W'),
        help='frames, height and width of a clip; by default those of the training pipeline '
        '(pretraining), or what the model is built for',
    )
    parser.add_argument(
        '--ratio', type=float, help='pretraining: mask ratio; by default that of the pipeline'
    )
    parser.add_argument(
        '--views',
        type=number(int, 1),
        help='recognition: views of a test video; by default those of the test pipeline',
    )
    parser.add_argument(
        '--depth', type=number(int, 0), default=2, help='levels of modules in the table'
    )
    parser.add_argument('--json', action='store_true', help='write JSON instead of the table')
    add_config_options(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Count and write to the standard output."""
    args = parse_args(argv)
    with short_errors():
        cfg = load_config(args.config, args.cfg_options)
        shape = tuple(args.shape) if args.shape else None
        cost = config_cost(cfg, shape, args.ratio, args.views)
        text = json.dumps(cost.to_dict(), indent=1) if args.json else format_cost(cost, args.depth)
        print(text, flush=True)


if __name__ == '__main__':
    main()
