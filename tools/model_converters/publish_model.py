"""Write the weights of a checkpoint to hand out, without optimiser, log and paths.

Writes OUT-<hash>.pth and OUT-<hash>.safetensors, reads both back and compares. The files hold the
arguments of the model, so that they can be used without a config. The hash is the beginning of
the SHA-256 of the file, as torch.hub checks it.

examples:
  publish_model.py work_dirs/mae_st_vitl_k400/epoch_200.pth mae_st_vitl_k400
  publish_model.py epoch_200.pth vitl_encoder --part encoder --dtype float16
"""

import argparse

from mmmae_st.apis.publish import PARTS, publish
from mmmae_st.command_line import short_errors, tool_parser


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__)
    parser.add_argument('source', metavar='IN', help='checkpoint of a run')
    parser.add_argument('target', metavar='OUT', help='folder and beginning of the new names')
    parser.add_argument(
        '--part', choices=PARTS, default='all', help="'encoder' leaves out decoder and heads"
    )
    parser.add_argument('--dtype', choices=('float16', 'bfloat16'), help='halve the size')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Write the files and say their hashes."""
    args = parse_args(argv)
    with short_errors():
        for file in publish(args.source, args.target, args.part, args.dtype):
            print(
                f'{file.path}  {file.size / 2**20:.1f} MiB, {file.tensors} tensors, '
                f'{file.values:,} values\nsha256 {file.sha256}'
            )


if __name__ == '__main__':
    main()
