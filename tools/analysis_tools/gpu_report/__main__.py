"""Everything that a GPU is wanted for, within a time: what works, how fast, what it learns.

Sections run in order of value, each with a share of the minutes, each task in a process of its own
with a time limit. Figures are written to --out as they come: a JSON file for each section, and
summary.md, which is whole at any moment. Runs that would not end in time are not begun.

examples:
  gpu_report.sh --minutes 9 --out report
  gpu_report.sh --sections step/l_compiled training --minutes 5 --out report
  gpu_report.sh --sections study --minutes 20 --out more --earlier report
  gpu_report.sh --device cpu --minutes 10 --out tried   # at tiny sizes
"""

import argparse
import os
import shlex
import shutil
import signal
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from .machine import describe, find_missing

NAMES = ('works', 'step', 'training', 'study')


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = argparse.ArgumentParser(
        prog='gpu_report.sh', description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--minutes', type=float, default=9.0, help='for everything (9)')
    parser.add_argument('--out', default='gpu_report', help='folder of the results (gpu_report)')
    parser.add_argument(
        '--sections', nargs='+', default=NAMES, metavar='SECTION[/TASK]',
        help='only these, or some tasks of them, see --list',
    )  # fmt: skip
    parser.add_argument('--device', choices=['cuda', 'cpu'], default='cuda')
    parser.add_argument('--earlier', help='results of an earlier call; the study goes on from them')
    parser.add_argument('--list', action='store_true', help='show sections and tasks, and end')
    args = parser.parse_args(argv)
    if args.minutes <= 0:
        parser.error(f'--minutes must be greater than 0, got {args.minutes}')
    return args


def main(argv: list[str] | None = None) -> int:
    """Say what is missing, then run; the exit code is that of the signal that ended it, or 0."""
    args = parse_args(argv)
    needed, lacking = find_missing(args.device)
    print('missing: ' + ('; '.join([*needed, *lacking]) or 'nothing'), flush=True)
    if needed and not args.list:
        return 1
    from mmengine.registry import init_default_scope

    from . import step, study, training, works
    from .apart import choose_method
    from .conduct import conduct
    from .plan import Place, choose
    from .report import Report

    known = {s.name: s for s in (works.SECTION, step.SECTION, training.SECTION, study.SECTION)}
    try:
        sections = choose([known[name] for name in NAMES], args.sections)
    except ValueError as error:
        sys.exit(f'gpu_report.sh: error: {error}')
    if args.list:
        for section in sections:
            print(f'{section.name}: {section.title}, {section.share:.0%} of the time')
            for task in section.tasks:
                print(f'    {task.name:<14}{task.seconds:4.0f} s  {task.about}')
        return 0
    init_default_scope('mmmae_st')
    out = Path(args.out).resolve()
    command = shlex.join(['tools/analysis_tools/gpu_report.sh', *(argv or sys.argv[1:])])
    machine = dict(describe(args.device), missing='; '.join(lacking) or 'nothing')
    report = Report(out, machine, command)
    folder = Path(tempfile.mkdtemp(prefix='gpu_report_'))
    os.environ.update(
        TMPDIR=str(folder),
        TORCHINDUCTOR_CACHE_DIR=str(folder / 'inductor'),
        TRITON_CACHE_DIR=str(folder / 'triton'),
    )
    compile_once(folder / 'pycache')
    tempfile.tempdir = str(folder)
    earlier = Path(args.earlier).resolve() if args.earlier else None
    machine['processes'] = choose_method(args.device, folder / 'method.txt')
    place = Place(args.device, folder, out, earlier=earlier)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    try:
        conduct(sections, place, report, args.minutes)
        report.end('ended')
    except KeyboardInterrupt as error:
        report.end(f'interrupted by {signal.Signals(error.args[0]).name}')
        return 128 + error.args[0]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(report.markdown())
    return 0


def compile_once(folder: Path) -> None:
    """Where packages came without bytecode, let the processes that follow share theirs."""
    spec = find_spec('torch')
    if spec and spec.cached and not Path(spec.cached).exists():
        os.environ['PYTHONPYCACHEPREFIX'] = str(folder)
        os.environ.pop('PYTHONDONTWRITEBYTECODE', None)


def interrupt(number: int, frame: FrameType | None) -> None:
    """End in order: the summary says so."""
    raise KeyboardInterrupt(number)


if __name__ == '__main__':
    sys.exit(main())
