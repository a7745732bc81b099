"""Say what works here: core, decoders, recognition, detection, GPU, several processes.

Each part is tried out on something tiny, in a process of its own. What does not work is named
with the way to mend it. The exit status is 0 when core, decoders and distributed work and nothing
that is installed is broken; --require adds parts that must work.

examples:
  verify_install.py
  verify_install.py --require recognition gpu
"""

import argparse
import subprocess
import sys

PARTS = ('core', 'decoders', 'recognition', 'detection', 'gpu', 'distributed')
ALWAYS = ('core', 'decoders', 'distributed')
NOT_INSTALLED = 3
TIMEOUT = 300  # seconds
REMEDIES = {
    "No module named 'mmmae_st'": 'pip install -e . in the checkout of mmmae_st',
    'operator torchvision::nms does not exist': 'torch and torchvision are of different builds: '
    'install both from one index, see https://pytorch.org/get-started/locally',
}


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--require', nargs='+', choices=PARTS, default=[], help='parts that must work besides'
    )
    parser.add_argument(
        '--only', nargs='+', choices=PARTS, default=PARTS, help='parts to try; all by default'
    )
    return parser.parse_args(argv)


def try_part(part: str) -> tuple[str, str]:
    """Run the check of one part.

    Returns:
        ``'ok'``, ``'none'`` (not installed) or ``'BROKEN'``, and what there is to say.
    """
    command = [sys.executable, '-W', 'ignore', '-m', 'mmmae_st.analysis.installation', part]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return 'BROKEN', f'no answer within {TIMEOUT} seconds'
    if done.returncode == 0:
        return 'ok', done.stdout.strip().splitlines()[-1]
    if done.returncode == NOT_INSTALLED:
        return 'none', done.stdout.strip()
    if done.returncode < 0:
        return 'BROKEN', f'the process was ended by signal {-done.returncode}'
    error = last_error(done.stderr)
    remedy = next((text for key, text in REMEDIES.items() if key in error), '')
    return 'BROKEN', f'{error}\n{remedy}'.strip()


def last_error(stderr: str) -> str:
    """The error at the end of a traceback, without the traceback."""
    lines = stderr.strip().splitlines() or ['it failed without a word']
    indented = [i for i, line in enumerate(lines) if line.startswith((' ', 'Traceback'))]
    return '\n'.join(lines[indented[-1] + 1 if indented else 0 :]) or lines[-1]


def main(argv: list[str] | None = None) -> int:
    """Try every part; the exit status."""
    args = parse_args(argv)
    needed = {part for part in args.only if part in ALWAYS} | set(args.require)
    failed = []
    for part in dict.fromkeys([*args.only, *args.require]):
        status, text = try_part(part)
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
