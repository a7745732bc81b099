"""Runs the tasks of the sections, each in its time."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from .apart import run_apart
from .notes import Notes
from .plan import Place, Section, Task
from .report import Report, last_lines

LEAST, SLACK = 60.0, 3.0  # a task may take this many seconds, or as many times its estimate
TINY = 0.05  # of the estimates, where everything is tiny
RESERVED = 5.0  # seconds before the end


def conduct(sections: Sequence[Section], place: Place, report: Report, minutes: float) -> None:
    """Run sections in order; each task is on disk as soon as it has a figure.

    Args:
        sections: What to run. Their shares are of the whole; unused time goes to the next one.
        place: Where.
        report: What gets the results.
        minutes: For all of it.
    """
    start = time.monotonic()
    whole, used = sum(section.share for section in sections), 0.0
    for section in sections:
        used += section.share
        end = start + used / whole * (60 * minutes - RESERVED)
        report.begin(section)
        for task in section.tasks:
            run_task(section, task, replace(place, end=end), report)


def run_task(section: Section, task: Task, place: Place, report: Report) -> None:
    """Run a task if it would end in time, and report what comes of it."""
    begun = time.monotonic()
    left = place.end - begun
    needed = task.seconds * (TINY if place.is_tiny else 1.0)
    if left < needed:
        reason = f'needs about {needed:.0f} s, {max(left, 0):.0f} s are left'
        report.update(section, task.name, 'not begun', [], reason=reason)
        say(section, task, f'not begun: {reason}')
        return
    say(section, task, task.about)
    notes = Notes(place.folder / f'{section.name}.{task.name}.jsonl')
    log = place.folder / f'{section.name}.{task.name}.txt'
    seen = [-1]

    def look(status: str = 'running', **more: object) -> bool:
        rows = notes.read()
        if status != 'running' or len(rows) != seen[0]:
            seen[0] = len(rows)
            seconds = time.monotonic() - begun
            report.update(section, task.name, status, rows, seconds=seconds, **more)
        return False

    look()
    limit = min(left, max(LEAST, SLACK * task.seconds))
    if task.takes_the_rest or place.is_tiny:  # a CPU may be a slow one, and shared
        limit = left
    status = run_apart(partial(task.run, place, notes), limit, log, look)
    if status == 'done':
        look(status)
    else:
        look(status, output=last_lines(log))
    say(section, task, f'{status}, {time.monotonic() - begun:.0f} s, {seen[0]} figures')


def say(section: Section, task: Task, text: str) -> None:
    """A line on the terminal."""
    print(f'{section.name}/{task.name}: {text}', flush=True)
