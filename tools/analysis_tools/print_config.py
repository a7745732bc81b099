"""Print a config with everything it inherits, and what options change in it.

Packages that the config would import are not needed.

examples:
  print_config.py configs/mae_st_vitl_k400.py
  print_config.py configs/mae_st_vitl_k400.py --key model.backbone optim_wrapper
  print_config.py configs/finetune/vitl_k400.py --cfg-options train_dataloader.batch_size=4
"""

import argparse
import json

from mmengine.config import Config, ConfigDict

from mmmae_st.command_line import add_config_options, load_config, short_errors, tool_parser


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--key', nargs='+', help='print these parts only, by their dotted names')
    parser.add_argument('--json', action='store_true', help='as JSON instead of Python')
    add_config_options(parser)
    return parser.parse_args(argv)


def pick(cfg: Config, keys: list[str]) -> Config:
    """The named parts of a config, under their dotted names with underscores."""
    parts = {}
    for key in keys:
        value = cfg
        for name in key.split('.'):
            if isinstance(value, list | tuple) and name.isdigit() and int(name) < len(value):
                value = value[int(name)]
            elif isinstance(value, Config | ConfigDict) and name in value:
                value = value[name]
            else:
                there = sorted(value) if isinstance(value, Config | ConfigDict) else 'no names'
                raise ValueError(f'--key {key}: there is no {name!r}, only {there}')
        parts[key.replace('.', '_')] = value
    return Config(parts)


def main(argv: list[str] | None = None) -> None:
    """Print to the standard output."""
    args = parse_args(argv)
    with short_errors():
        cfg = load_config(args.config, args.cfg_options, import_modules=False)
        if args.key:
            cfg = pick(cfg, args.key)
        print(json.dumps(cfg.to_dict(), indent=1) if args.json else cfg.pretty_text, flush=True)


if __name__ == '__main__':
    main()
