r"""Pack videos into plain tar files with one index, and read single ones out of them.

    python tools/dataset_converters/pack_videos.py data/k400/videos data/k400/shards
    python tools/dataset_converters/pack_videos.py data/k400/videos data/k400/shards \
        --list train.txt

A training run takes the index: ann_file='data/k400/shards/index.npz'. The order is that of the
folder or of the list, so that samples are those of the files. The tar files are plain: tar and
WebDataset read them (labels are beside the videos, in .cls). The index says where each video stands
and what is in it, and numpy.load reads it. Videos that cannot be read are left out and listed in
failed.txt with their cause.

Run again after an interruption, it does what is missing. check_videos.py SHARDS/index.npz compares
shards and index.
"""

import argparse
import sys

from common import add_parallel_arguments, require_apart
from packing import INDEX, pack_folder

from mmmae_st.command_line import number, short_errors, tool_parser

SHARD_MB = 1000


def parse_args() -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__, defaults=False)
    parser.add_argument('source', help='folder of videos, prepared ones for instance')
    parser.add_argument('target', help='folder to write to')
    parser.add_argument('--list', help='pack the videos of this list, relative to the source')
    parser.add_argument(
        '--shard-mb', type=number(int, 1), default=SHARD_MB, help=f'MB a tar file ({SHARD_MB})'
    )
    add_parallel_arguments(parser, timeout=3600, what='a tar file')
    return parser.parse_args()


def main() -> int:
    """Pack what is missing; 1 if a video failed."""
    args = parse_args()
    with short_errors():
        require_apart(args.source, args.target)
        failed = pack_folder(
            args.source, args.target, args.list, args.workers, args.shard_mb * 1e6, args.timeout
        )
    print(f'{args.target}/{INDEX}: failed {failed}')
    return bool(failed)


if __name__ == '__main__':
    sys.exit(main())
