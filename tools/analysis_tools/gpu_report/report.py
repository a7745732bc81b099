"""The files of a report: JSON for each section, and a summary in Markdown."""

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from .plan import Section

SUMMARY = 'summary.md'
LOG_LINES = 25


class Report:
    """What has come out so far. Each change is on disk at once.

    Args:
        out: Folder, made when absent.
        machine: What it is measured on, by name.
        command: What was called.
    """

    def __init__(self, out: Path, machine: dict[str, Any], command: str) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.out = out
        self.machine = machine
        self.command = command
        self.state = 'running'
        self.sections: list[Section] = []
        self.tasks: dict[str, dict[str, dict[str, Any]]] = {}

    def begin(self, section: Section) -> None:
        """Start a section."""
        self.sections.append(section)
        self.tasks[section.name] = {}
        self._write(section)

    def update(
        self, section: Section, task: str, status: str, rows: list[dict], **more: Any
    ) -> None:
        """Set what is known of a task; ``more`` has ``seconds`` and what it said of a failure."""
        self.tasks[section.name][task] = dict(status=status, **more, rows=rows)
        self._write(section)

    def end(self, state: str) -> None:
        """Say how the report ended."""
        self.state = state
        write_whole(self.out / SUMMARY, self.markdown())

    def _write(self, section: Section) -> None:
        content = dict(section=section.name, machine=self.machine, tasks=self.tasks[section.name])
        write_whole(self.out / f'{section.name}.json', json.dumps(content, indent=1) + '\n')
        write_whole(self.out / SUMMARY, self.markdown())

    def markdown(self) -> str:
        """The summary."""
        lines = ['# GPU report', '', f'`{self.command}`: {self.state}.', '']
        lines += [f'- {name}: {value}' for name, value in self.machine.items()]
        for section in self.sections:
            lines += ['', f'## {section.title}', '']
            tables: dict[str, list[dict]] = defaultdict(list)
            for task in section.tasks:
                known = self.tasks[section.name].get(task.name)
                if known is None:
                    lines.append(f'- {task.name}: not run')
                    continue
                reason = known.get('reason', '')
                seconds = f' ({known["seconds"]:.0f} s)' if 'seconds' in known else ''
                lines.append(
                    f'- {task.name}: **{known["status"]}**{seconds}{": " * bool(reason)}{reason}'
                )
                for row in known['rows']:
                    tables[row['table']].append(row)
            for name, rows in tables.items():
                lines += ['', f'### {name}', '', *table(rows)]
            for task, known in self.tasks[section.name].items():
                if known.get('output'):
                    lines += ['', f'Last lines of {task}:', '', '```text', known['output'], '```']
        return '\n'.join(lines) + '\n'


def table(rows: list[dict]) -> list[str]:
    """Lines of a Markdown table of rows whose keys may differ."""
    keys = list(dict.fromkeys(key for row in rows for key in row if key != 'table'))
    lines = ['| ' + ' | '.join(keys) + ' |', '|' + '---|' * len(keys)]
    return lines + [
        '| ' + ' | '.join(show(row.get(key, '')) for key in keys) + ' |' for row in rows
    ]


def show(value: Any) -> str:
    """A value in a table."""
    if isinstance(value, bool):
        return 'yes' if value else '**NO**'
    if isinstance(value, float):
        return f'{value:.4g}'
    return '' if value is None else str(value).replace('|', '\\|').replace('\n', ' ')


def last_lines(path: Path, number: int = LOG_LINES) -> str:
    """The end of a log."""
    if not path.exists():
        return ''
    return '\n'.join(path.read_text(errors='replace').splitlines()[-number:])


def write_whole(path: Path, text: str) -> None:
    """Write a file that is never seen half-written."""
    part = path.with_name(f'.{path.name}.part')
    part.write_text(text, encoding='utf-8')
    os.replace(part, path)
