import os
import time

from mmmae_st.datasets.parallel import run_parallel, usable_cores


def work(task):
    if task == 'hang':
        time.sleep(60)
    if task == 'crash':
        os._exit(7)
    if task == 'raise':
        raise OSError(2, 'two\nlines')
    return task * 2


def test_workers_survive_hanging_crashing_and_raising_tasks():
    tasks = [1, 'crash', 'hang', 2, 'raise', 3, 'crash', 4]
    begin = time.monotonic()
    outcomes = list(run_parallel(work, tasks, workers=2, timeout=4.0))
    assert time.monotonic() - begin < 50
    assert sorted(o.value for o in outcomes if o.error is None) == [2, 4, 6, 8]
    errors = sorted((o.task, o.error) for o in outcomes if o.error is not None)
    assert errors == [
        ('crash', 'crashed its process (exit code 7)'),
        ('crash', 'crashed its process (exit code 7)'),
        ('hang', 'gave no answer within 4 seconds'),
        ('raise', 'FileNotFoundError: two lines'),
    ]


def test_cores_where_the_system_does_not_say_which(monkeypatch):
    assert 1 <= usable_cores() <= os.cpu_count()
    monkeypatch.delattr(os, 'sched_getaffinity', raising=False)
    assert usable_cores() == os.cpu_count()
