"""Run the study, or what is missing of it, and write its report. ``run.sh`` calls this.

Nothing is done twice: each finished measurement is a small file in the work directory, and the
same command goes on after an interruption.
"""

import argparse
import fnmatch
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import asdict
from pathlib import Path

import torch
from mmengine.logging import MMLogger

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from projects.motion_benchmark.clips import make_set  # noqa: E402
from projects.motion_benchmark.measure import Job, carry_out, read_result, read_row  # noqa: E402
from projects.motion_benchmark.plan import Pace, Plan, measure_pace  # noqa: E402
from projects.motion_benchmark.report import write_report  # noqa: E402
from projects.motion_benchmark.runner import Site  # noqa: E402
from projects.motion_benchmark.scales import SCALES  # noqa: E402
from projects.motion_benchmark.study import STUDY, Entry  # noqa: E402


def parse_args() -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--scale', choices=sorted(SCALES), required=True, help='size of the study')
    parser.add_argument(
        '--entries',
        nargs='+',
        metavar='QUESTION/ROW',
        help="only these rows, * and ? allowed, for instance 'ratio/*'",
    )
    parser.add_argument('--seeds', nargs='+', type=int, help="only these of the scale's seeds")
    parser.add_argument(
        '--minutes',
        type=float,
        default=float('inf'),
        help='begin no row that would not end in so many minutes, clips and plan included',
    )
    parser.add_argument('--workers', type=int, help="processes; the scale's by default")
    parser.add_argument('--data-root', help='clips; data/motion_benchmark/SCALE by default')
    parser.add_argument('--work-dir', help='work_dirs/motion_benchmark/SCALE by default')
    parser.add_argument(
        '--results', help='folder of the finished measurements; results in the work directory'
    )
    parser.add_argument('--out', help='folder of the report; the work directory by default')
    parser.add_argument(
        '--plan', action='store_true', help='time some steps, show what would be run'
    )
    parser.add_argument('--list', action='store_true', help='show what is done and end')
    parser.add_argument('--report', action='store_true', help='write the report only')
    parser.add_argument('--part', action='store_true', help=argparse.SUPPRESS)
    return parser.parse_args()


def make_site(args: argparse.Namespace) -> Site:
    """Where the study runs."""
    data = Path(args.data_root or ROOT / 'data' / 'motion_benchmark' / args.scale)
    work = Path(args.work_dir or ROOT / 'work_dirs' / 'motion_benchmark' / args.scale)
    results = Path(args.results) if args.results else None
    return Site(SCALES[args.scale], data, work, results)


def chosen_rows(site: Site, args: argparse.Namespace) -> list[tuple[Entry, int]]:
    """The rows that are asked for, with seeds: all seeds of a question, then the next question."""
    patterns = args.entries or [f'{question}/*' for question in site.scale.questions]
    seeds = site.scale.seeds if args.seeds is None else args.seeds
    if not set(seeds) <= set(site.scale.seeds):
        raise SystemExit(f'--seeds must be among {site.scale.seeds}, got {seeds}')
    rows: dict[tuple[Entry, int], None] = {}  # in order, each once
    for pattern in patterns:
        entries = [e for e in STUDY if fnmatch.fnmatch(f'{e.question}/{e.row}', pattern)]
        if not entries:
            raise SystemExit(f'--entries: nothing is called {pattern!r}; see --list')
        rows.update({(entry, seed): None for seed in seeds for entry in entries})
    return list(rows)


def make_plan(site: Site, args: argparse.Namespace) -> Plan:
    """From the pace of this machine, which the process that is called first measures."""
    file = site.work / 'pace.json'
    if not args.part:
        file.write_text(json.dumps(asdict(measure_pace(site)), indent=1) + '\n')
    return Plan(site, Pace(**json.loads(file.read_text())))


def show(site: Site) -> None:
    """Print every row and its seeds that are done."""
    for entry in STUDY:
        done = [s for s in site.scale.seeds if read_row(site, entry, s)]
        print(f'{f"{entry.question}/{entry.row}":<55} {done or "not run"}')


def run_workers(number: int, minutes: float) -> int:
    """Run this command in several processes; the number of those that failed."""
    command = [sys.executable, *sys.argv, '--part', '--minutes', str(minutes)]
    processes = [subprocess.Popen(command) for _ in range(number)]
    try:
        return sum(process.wait() != 0 for process in processes)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def main() -> None:
    """Make the clips, measure, report."""
    args = parse_args()
    warnings.filterwarnings('ignore', category=UserWarning)
    site = make_site(args)
    if args.list:
        show(site)
        return
    out = Path(args.out) if args.out else site.work
    if args.report:
        write_report(site, out, args.scale)
        return
    site.work.mkdir(parents=True, exist_ok=True)
    MMLogger.get_instance('motion_benchmark', log_file=str(site.work / 'run.log'), file_mode='a')
    torch.set_num_threads(site.scale.threads)
    rows = chosen_rows(site, args)
    jobs_of_rows = [[(m, seed) for m in entry.measurements] for entry, seed in rows]
    start = time.perf_counter()
    if not args.part:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the workers on the way out
        make_set(site.data, site.scale.clips, os.cpu_count() or 1)
    plan = make_plan(site, args) if args.plan or args.minutes < float('inf') else None
    minutes = args.minutes - (time.perf_counter() - start) / 60
    if plan and not args.part:
        print(plan.table(rows, minutes), flush=True)
    if args.plan:
        return
    workers = args.workers or site.scale.workers
    failed = 0
    if workers == 1 or args.part:
        carry_out(site, jobs_of_rows, minutes, plan.seconds if plan else None)
    else:
        failed = run_workers(workers, minutes)
    if args.part:
        return
    write_report(site, out, args.scale)
    minutes = (time.perf_counter() - start) / 60
    jobs: set[Job] = {job for jobs in jobs_of_rows for job in jobs}
    done = sum(read_result(site, job) is not None for job in jobs)
    print(f'{done} of {len(jobs)} measurements are done, {minutes:.1f} minutes; report: {out}')
    if failed:
        raise SystemExit(f'{failed} of {workers} processes failed, see above')


if __name__ == '__main__':
    main()
