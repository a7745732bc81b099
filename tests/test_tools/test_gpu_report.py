"""The report for a machine with a GPU, tried at tiny sizes on the CPU."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from gpu_report import apart, conduct, profiles
from gpu_report.__main__ import main
from gpu_report.notes import Notes
from gpu_report.plan import Place, Section, Task, choose
from gpu_report.report import Report
from gpu_report.study import ARCHIVE, pack
from gpu_report.syncs import SyncWatch
from support import runs
from torch.autograd import DeviceType

from mmmae_st.fileio.atomic_file import write_whole

ROOT = Path(__file__).parents[2]
APART = ('works/sharded', 'study')  # start more Pythons: the slow test
QUICK = (
    *(f'works/{name}' for name in ('numerics', 'resume', 'encoder', 'variants', 'compiled')),
    *(f'step/{name}' for name in ('l', 'profile', 'syncs', 'dense')),
    'training/videos',
    'training/b_ordinary',
)


# Loader workers need a short name, which that of a test's folder is not.
SHORT = Path(tempfile.gettempdir(), f'gpu_report_tests_{os.getpid()}')


@pytest.fixture(scope='module', autouse=True)
def short_folder():
    SHORT.mkdir()
    yield
    shutil.rmtree(SHORT, ignore_errors=True)


def start(out, *arguments, minutes=5):
    """Start the report without a Python of its own."""
    argv = ['--device', 'cpu', '--minutes', minutes, '--out', out, *arguments]
    before = [partial(prepare, str(SHORT))]
    return runs.fork('gpu_report', argv, out.with_name(f'{out.name}_said'), before=before)


def prepare(folder):
    """As gpu_report.sh does; what a kill leaves behind is in the folder."""
    os.environ['TMPDIR'] = tempfile.tempdir = folder
    sys.path[:0] = [str(ROOT), str(ROOT / 'tools/analysis_tools')]


def tasks(out, section):
    return json.loads((out / f'{section}.json').read_text())['tasks']


def statuses(out, *sections):
    return {
        name: task['status'] for section in sections for name, task in tasks(out, section).items()
    }


def rows(out, section, table):
    return [
        row
        for task in tasks(out, section).values()
        for row in task['rows']
        if row['table'] == table
    ]


@pytest.mark.slow
def test_on_the_cpu(tmp_path):
    out = tmp_path / 'out'
    program = ROOT / 'tools/analysis_tools/gpu_report.sh'
    command = [program, '--device', 'cpu', '--minutes', '5', '--out', out, '--sections', *QUICK]
    env = dict(os.environ, PYTHON=sys.executable, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    env['TMPDIR'] = str(SHORT)
    done = subprocess.run(command, env=env, cwd=tmp_path, text=True, capture_output=True)
    text = done.stdout + done.stderr
    assert done.returncode == 0 and text.startswith('missing: '), text
    found = statuses(out, 'works', 'step', 'training')
    assert set(found.values()) == {'done'}, (found, (out / 'summary.md').read_text())
    assert len(found) == len(QUICK)
    assert len(list(out.iterdir())) <= 8 and (out / 'reconstruction.png').stat().st_size > 1000

    checks = rows(out, 'works', 'checks')
    assert len(checks) == 29 and all(row['ok'] for row in checks)
    timed = {row['what']: row for row in rows(out, 'step', 'steps')}
    assert set(timed) == {'ours', 'reference', 'dense'}
    assert timed['reference']['loss'] == pytest.approx(timed['ours']['loss'], rel=1e-3)
    assert rows(out, 'step', 'most expensive kernels of ViT-L')
    [syncs] = rows(out, 'step', 'host synchronisations')
    assert syncs == dict(table='host synchronisations', an_iteration=0.0, cause='all')
    [training] = rows(out, 'training', 'training')
    assert training['clips_per_second'] > 0 and 0 <= training['waiting_for_data'] <= 1
    summary = (out / 'summary.md').read_text()
    assert ': ended.' in summary and '| killed and resumed: weights | 0 |' in summary


@pytest.mark.slow
def test_the_parts_that_start_processes(tmp_path):
    out = tmp_path / 'out'
    run = start(out, '--sections', *APART, minutes=8)
    assert run.wait(500) == [0], run.output()
    assert set(statuses(out, 'works', 'study').values()) == {'done'}, run.output()
    assert len(rows(out, 'works', 'training')) == 1
    assert rows(out, 'study', 'labels')[0]['row'] == 'from scratch, 5'
    again = tmp_path / 'again'
    run = start(again, '--sections', 'study', '--earlier', out)
    assert run.wait(300) == [0], run.output()
    assert measurements(again) == measurements(out)  # their seconds too: not measured anew


def measurements(out):
    with zipfile.ZipFile(out / ARCHIVE) as archive:
        found = {name: archive.read(name) for name in archive.namelist() if name.endswith('.json')}
    assert found
    return found


def test_results_are_packed_when_they_are_whole(tmp_path):
    results, packed = tmp_path / 'results', []
    for name in ('.b.incomplete.json', 'a.json', '.c.json.lock', 'b.json'):
        write_whole(results / name, name)
        if name == 'b.json':
            os.utime(results / name, (1e9, 1e9))  # written long before it got its name
        pack(results, tmp_path)
        if (tmp_path / ARCHIVE).exists():
            packed.append(sorted(measurements(tmp_path)))
    assert packed == [['a.json'], ['a.json'], ['a.json', 'b.json']]


def test_list_and_unknown_names(tmp_path, capsys):
    assert main(['--device', 'cpu', '--list']) == 0
    listed = capsys.readouterr().out
    assert 'step: The step, 38% of the time' in listed and 'l_compiled' in listed
    out = tmp_path / 'out'
    with pytest.raises(SystemExit, match="no section or task is called 'step/xl'"):
        main(['--device', 'cpu', '--sections', 'step/xl', '--out', str(out)])
    assert not out.exists()


@pytest.mark.parametrize(
    ('number', 'end'), [(signal.SIGTERM, 'interrupted by SIGTERM'), (signal.SIGKILL, 'running')]
)
def test_a_summary_is_there_after_an_interruption(tmp_path, number, end):
    out = tmp_path / 'out'
    run = start(out, '--sections', 'training')
    limit = time.monotonic() + 200
    summary = out / 'summary.md'
    while not summary.exists() or '### videos' not in summary.read_text():
        assert time.monotonic() < limit
        time.sleep(0.05)
    run.kill(number)
    run.wait()
    text = summary.read_text()
    assert f'{end}.' in text and '### videos' in text and 'b_ordinary: not run' in text


def note(place, notes):
    notes.add('figures', value=1.0)


def hang(place, notes):
    note(place, notes)
    time.sleep(60)


def crash(place, notes):
    note(place, notes)
    os.kill(os.getpid(), signal.SIGKILL)


def fail(place, notes):
    raise ArithmeticError('of this task alone')


def test_a_task_that_fails_or_hangs_stops_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(conduct, 'LEAST', 1.0)
    monkeypatch.setattr(conduct, 'SLACK', 0.0)
    functions = dict(crash=crash, fail=fail, hang=hang, note=note)
    plan = [Task(name, name, 0.0, function) for name, function in functions.items()]
    plan.append(Task('long', 'needs an hour', 3600.0, note))
    section = Section('some', 'Some', 1.0, tuple(plan))
    report = Report(tmp_path / 'out', dict(device='cpu'), 'command')
    folder = tmp_path / 'temporary'
    folder.mkdir()
    conduct.conduct([section], Place('cuda', folder, tmp_path / 'out'), report, 1.0)
    report.end('ended')
    assert statuses(tmp_path / 'out', 'some') == dict(
        crash='failed', fail='failed', hang='out of time', note='done', long='not begun'
    )
    assert len(rows(tmp_path / 'out', 'some', 'figures')) == 3
    summary = (tmp_path / 'out' / 'summary.md').read_text()
    assert 'ArithmeticError: of this task alone' in summary
    assert 'long: **not begun**: needs about 3600 s, 5' in summary


def test_where_forked_processes_cannot_use_the_device_new_ones_are_started(tmp_path, monkeypatch):
    monkeypatch.setattr(apart, '_touch', fail)
    assert apart.choose_method('cpu', tmp_path / 'log.txt') == 'spawn'
    notes = Notes(tmp_path / 'notes.jsonl')
    task = partial(notes.add, 'figures', value=1.0)
    assert apart.run_apart(task, 60.0, tmp_path / 'log.txt') == 'done'
    assert notes.read() == [dict(table='figures', value=1.0)]
    monkeypatch.undo()
    assert apart.choose_method('cpu', tmp_path / 'log.txt') == 'fork'


def test_unused_time_goes_to_the_next_section(tmp_path):
    ends = []

    def keep_end(section, task, place, report):
        ends.append(place.end)

    sections = [Section(name, name, share, (Task('t', '', 0.0, note),)) for name, share in
                (('a', 0.25), ('b', 0.5))]  # fmt: skip
    start, run_task = time.monotonic(), conduct.run_task
    conduct.run_task = keep_end
    try:
        place = Place('cpu', tmp_path, tmp_path)
        conduct.conduct(sections, place, Report(tmp_path, {}, ''), 1.0)
    finally:
        conduct.run_task = run_task
    assert [end - start for end in ends] == pytest.approx([55 / 3, 55.0], abs=5)


def test_sections_and_tasks_are_chosen_by_name():
    sections = [Section(n, n, 1.0, (Task('x', '', 1, note), Task('y', '', 1, note))) for n in 'ab']
    chosen = choose(sections, ['b/y', 'a'])
    assert [(s.name, [t.name for t in s.tasks]) for s in chosen] == [
        ('a', ['x', 'y']),
        ('b', ['y']),
    ]


def test_a_row_that_was_cut_off_is_left_out(tmp_path):
    notes = Notes(tmp_path / 'notes.jsonl')
    notes.check('one', 0.5, 1.0)
    notes.check('two', float('nan'), 1.0)
    with notes.path.open('a') as file:
        file.write('{"table": "che')
    assert [row['ok'] for row in notes.read()] == [True, False]


def event(name, start, end, on_device=True):
    return SimpleNamespace(
        name=name,
        device_type=DeviceType.CUDA if on_device else DeviceType.CPU,
        time_range=SimpleNamespace(start=start, end=end),
    )


EVENTS = [
    event('cudaStreamSynchronize', 0, 900, on_device=False),
    event('cudaStreamSynchronize', 950, 1050, on_device=False),
    event('cudaLaunchKernel', 0, 5, on_device=False),
    event('attention', 100, 400),
    event('gemm', 0, 100),
    event('gemm', 350, 500),  # on a second stream, at the same time as attention
    event('gemm', 600, 700),
    event('Memcpy HtoD', 650, 800),
    event('adamw', 1000, 1100),
]


def test_kernels_and_gaps_of_a_profile():
    work = profiles.on_device(EVENTS)
    assert [e.name for e in work][:2] == ['gemm', 'attention']
    rows = profiles.top_kernels(work, 2)
    assert [(r['kernel'], r['calls'], r['milliseconds']) for r in rows] == [
        ('gemm', 3, 0.35), ('attention', 1, 0.3),
    ]  # fmt: skip
    assert rows[0]['share'] == pytest.approx(350 / 900)
    gaps = profiles.find_gaps(work)
    assert [(g.microseconds, g.after, g.before) for g in gaps] == [
        (100, 'gemm', 'gemm'),
        (200, 'Memcpy HtoD', 'adamw'),
    ]
    assert profiles.idle_share(work) == pytest.approx(300 / 1100)
    assert profiles.unhidden_copies(work) == pytest.approx(0.1)


def test_waits_of_the_host_in_a_profile():
    [row] = profiles.host_waits(EVENTS, iterations=2)
    assert row == dict(
        call='cudaStreamSynchronize', calls_an_iteration=1.0, milliseconds_an_iteration=0.5
    )
    assert profiles.idle_share([]) == 0.0 and profiles.top_kernels([]) == []


def read_from_device():
    warnings.warn('called a synchronizing CUDA operation')


def test_what_makes_the_host_wait_is_named_by_its_callers():
    watch = SyncWatch()
    with watch.watching():
        for _ in range(3):
            read_from_device()
        warnings.warn('another warning')
    [(cause, number)] = watch.causes.items()
    assert number == 3
    first, second = cause.split(' < ')[:2]
    assert first.startswith('tests/test_tools/test_gpu_report.py:') and 'read_from_device' in first
    assert 'test_what_makes_the_host_wait' in second
