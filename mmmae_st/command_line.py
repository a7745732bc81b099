"""What the command-line tools share: configs, and errors without a traceback."""

import argparse
import atexit
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from mmengine.config import Config, DictAction

from mmmae_st.config import override, read_config
from mmmae_st.datasets.readers import VideoReadError
from mmmae_st.fileio.atomic_file import require_folder
from mmmae_st.fileio.pipes import drop_unread_output
from mmmae_st.memory import full_memory

atexit.register(drop_unread_output)  # before Python tries it and complains


def tool_parser(description: str | None, defaults: bool = True) -> argparse.ArgumentParser:
    """A parser whose ``--help`` is the tool's docstring as written, and whose errors are one line.

    Args:
        description: The docstring. The file's name in it becomes the name of the command, when
            that is how the program was started.
        defaults: Name the defaults of the options.
    """
    parser = _Parser(
        description=description,
        formatter_class=_Help if defaults else argparse.RawDescriptionHelpFormatter,
    )
    file = getattr(sys.modules.get('__main__'), '__file__', None) or ''
    if description and ' ' in parser.prog and file:
        name = rf'(python tools/[\w/]*)?{re.escape(os.path.basename(file))}'
        parser.description = re.sub(rf'(?<!\S){name}', parser.prog, description)
    return parser


class _Parser(argparse.ArgumentParser):
    """Without the usage before an error."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f'{self.prog}: error: {message}; see {self.prog} --help\n')


def number(
    kind: Callable[[str], float], least: float, most: float = float('inf'), above: bool = False
) -> Callable[[str], Any]:
    """The ``type`` of an option that is a number in a range.

    Args:
        kind: ``int`` or ``float``.
        least: The smallest valid one.
        most: The largest.
        above: Whether ``least`` itself is too small.
    """
    words = f'{"above" if above else "at least"} {least:g}'
    words += '' if most == float('inf') else f' and at most {most:g}'

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            what = 'an integer' if kind is int else 'a number'
            raise argparse.ArgumentTypeError(f'must be {what} {words}, got {text!r}') from None
        if not (least < value if above else least <= value) or not value <= most:
            raise argparse.ArgumentTypeError(f'must be {words}, got {value:g}')
        return value

    return parse


class _Help(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, False):
            return action.help
        return super()._get_help_string(action)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """The argument ``--cfg-options``."""
    parser.add_argument(
        '--cfg-options', nargs='+', action=Overrides, metavar='KEY=VALUE', help='config overrides'
    )


class Overrides(DictAction):
    """mmengine's, which needs values of the form KEY=VALUE."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any
    ) -> None:
        """Parse them."""
        for value in values:
            if '=' not in value:
                parser.error(f'argument {self.option_strings[0]}: takes KEY=VALUE, got {value!r}')
        super().__call__(parser, namespace, values)


def add_launcher_options(parser: argparse.ArgumentParser) -> None:
    """The arguments by which several processes are started."""
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def parse_launched(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the arguments of a program that a launcher may have started."""
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def add_trust_option(parser: argparse.ArgumentParser) -> None:
    """The argument ``--trust-checkpoint``."""
    parser.add_argument(
        '--trust-checkpoint',
        nargs='+',
        default=(),
        metavar='FILE',
        help='checkpoints that may run code when they are loaded; the others may not',
    )


def load_run_config(args: argparse.Namespace, prefix: str = '') -> Config:
    """Read the config of a run: ``args`` has config, cfg_options, work_dir and launcher.

    What the run writes goes to ``work_dirs/<prefix><config>`` unless options or config say where.
    """
    cfg = load_config(args.config, args.cfg_options)
    name = os.path.splitext(os.path.basename(args.config))[0]
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or os.path.join('work_dirs', prefix + name)
    require_folder(cfg.work_dir)
    cfg.launcher = args.launcher
    return cfg


def add_frame_interval(parser: argparse.ArgumentParser) -> None:
    """The argument ``--frame-interval``."""
    parser.add_argument(
        '--frame-interval',
        type=number(int, 1),
        default=4,
        help='frames from one to the next, at 30 a second',
    )


def add_amp_options(parser: argparse.ArgumentParser) -> None:
    """The arguments ``--amp`` and ``--force-amp``; the value of both is ``args.amp``."""
    parser.add_argument(
        '--amp',
        action='store_true',
        help='bfloat16 autocast where the hardware has it, on GPU or CPU',
    )
    parser.add_argument(
        '--force-amp',
        dest='amp',
        action='store_const',
        const='force',
        help='bfloat16 autocast on any hardware, however slow',
    )


def load_config(path: str, options: dict | None = None, import_modules: bool = True) -> Config:
    """Read a config and apply overrides.

    Args:
        path: Config file, or the short name of one that comes with the package.
        options: Overrides by dotted keys.
        import_modules: Import what ``custom_imports`` names; without, the config can be looked at
            where the packages that it needs are not installed.

    Raises:
        FileNotFoundError: If there is no such config; names what is near.
        ValueError: If the config needs a package that is not installed; says how to install it. If
            nothing reads an override.
    """
    cfg = read_config(path, import_modules)
    override(cfg, options)
    return cfg


def exit_with_failures(found: Iterable[Mapping[str, Any]]) -> None:
    """Name the videos that could not be read, if any, and end the program with status 1.

    Args:
        found: Results with ``path`` and ``error``.
    """
    failed = [f'cannot read {video["path"]}: {video["error"]}' for video in found if video['error']]
    if failed:
        sys.exit('\n'.join(failed))


@contextmanager
def short_errors() -> Iterator[None]:
    """End the program with one line for what the user can mend, as argparse does.

    Files that are missing or cannot be read, arguments out of range, memory that is full. Ctrl-C
    ends it with one line, too, and status 130. Anything else is a defect and keeps its traceback.
    """
    program = os.path.basename(sys.argv[0])
    try:
        yield
    except KeyboardInterrupt:
        print(f'{program}: interrupted', file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        if not drop_unread_output():  # another pipe
            raise
        sys.exit(1)
    except (OSError, ValueError, VideoReadError) as error:
        sys.exit(f'{program}: error: {error}')
    except RuntimeError as error:
        told = full_memory(error)
        if told is None:
            raise
        sys.exit(f'{program}: error: {told} Take fewer at a time, or --device cpu')
