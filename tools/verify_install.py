"""Say what works here: core, decoders, recognition, detection, GPU, several processes.

Each part is tried out on something tiny, in a process of its own. What does not work is named
with the way to mend it. The exit status is 0 when core, decoders and distributed work and nothing
that is installed is broken; --require adds parts that must work.

examples:
  verify_install.py
  verify_install.py --only core decoders
  verify_install.py --require recognition gpu
"""

import argparse
import multiprocessing
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from typing import NoReturn

from installation_checks import CHECKS, IN_CHECKOUT, NotInstalledError

ALWAYS = ('core', 'decoders', 'distributed')
SHARED = ('torch', 'torchvision', 'mmengine.runner', 'mmmae_st.models', 'mmmae_st.datasets.readers')
TIMEOUT = 300  # seconds
HEADLESS = (
    'pip uninstall -y opencv-python opencv-contrib-python opencv-python-headless; '
    'pip install opencv-python-headless'
)
# Part of an error, and the way to mend it; the last fits them all.
REMEDIES = {
    "No module named 'mmmae_st'": f'pip install -e ".[lite]" {IN_CHECKOUT}',
    "No module named 'cv2": HEADLESS,
    "module 'cv2'": HEADLESS,
    'libGL': HEADLESS,
    'libgthread': HEADLESS,
    'libxcb': HEADLESS,
    "No module named 'pkg_resources'": 'pip install "setuptools<81"',
    'No module named': f'pip install ".[lite]" {IN_CHECKOUT}',
    'operator torchvision::nms does not exist': 'torch and torchvision are of different builds: '
    'install both from one index, see https://pytorch.org/get-started/locally',
    'pip install': '',  # the error names its mend
    '': 'versions that work together: pip install --no-deps -r requirements/core.txt '
    f'(requirements/tests.txt for recognition and detection) {IN_CHECKOUT}',
}


class _Parser(argparse.ArgumentParser):
    """As that of mmmae_st.command_line, which may not be there: errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f'{self.prog}: error: {message}; see {self.prog} --help\n')


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = _Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--require', nargs='+', choices=CHECKS, default=[], help='parts that must work besides'
    )
    parser.add_argument(
        '--only', nargs='+', choices=CHECKS, default=CHECKS, help='parts to try; all by default'
    )
    return parser.parse_args(argv)


def try_parts(parts: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Run checks at the same time, in processes that share what has been imported so far.

    Yields:
        Part; ``'ok'``, ``'none'`` (not installed) or ``'BROKEN'``; and what there is to say.
    """
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for module in SHARED:
            with suppress(Exception):  # the part that needs it will say so
                import_module(module)
    context = multiprocessing.get_context('fork')
    started = []
    for part in parts:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_report, args=(part, sender))
        process.start()
        sender.close()
        started.append((part, process, receiver))
    for part, process, receiver in started:
        try:
            answer = receiver.recv() if receiver.poll(TIMEOUT) else None
        except EOFError:
            process.join()
            answer = 'BROKEN', with_remedy(f'the process was ended by signal {-process.exitcode}')
        if answer is None:
            process.kill()
            answer = 'BROKEN', with_remedy(f'no answer within {TIMEOUT} seconds')
        yield part, *answer


def _report(part: str, sender: Connection) -> None:
    """Send the outcome of a check; what else it prints goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        import_module('mmmae_st')  # it checks the versions of what is installed, and says so
        outcome = 'ok', CHECKS[part]()
    except NotInstalledError as missing:
        outcome = 'none', str(missing)
    except Exception as error:
        outcome = 'BROKEN', with_remedy(f'{type(error).__name__}: {error}')
    sender.send(outcome)


def with_remedy(error: str) -> str:
    """The error, and the way to mend it on a line of its own."""
    remedy = next(text for key, text in REMEDIES.items() if key in error)
    return f'{error}\n{remedy}'.strip()


def main(argv: list[str] | None = None) -> int:
    """Try every part; the exit status."""
    args = parse_args(argv)
    needed = {part for part in args.only if part in ALWAYS} | set(args.require)
    failed = []
    for part, status, text in try_parts(list(dict.fromkeys([*args.only, *args.require]))):
        first, *rest = text.splitlines()
        print(f'{status:<7} {part:<12} {first}', flush=True)
        for line in rest:
            print(f'{"":<20} {line}')
        if status == 'BROKEN' or (status != 'ok' and part in needed):
            failed.append(part)
    print(f'does not work: {", ".join(failed)}' if failed else 'all that is needed works')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
