"""What a report is made of, and where it works."""

import copy
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmengine.config import Config

from .notes import Notes

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = ROOT / 'configs'


@dataclass(frozen=True)
class Place:
    """Where the report works, and how large.

    Attributes:
        device: ``'cuda'``; or ``'cpu'``, where everything is tiny.
        folder: Temporary files.
        out: Results.
        end: When the time of the running section is over, on the clock of ``time.monotonic``.
        earlier: Results of an earlier call, to go on from; None for none.
    """

    device: str
    folder: Path
    out: Path
    end: float = math.inf
    earlier: Path | None = None

    @property
    def is_tiny(self) -> bool:
        """Whether only the way through the parts is tried."""
        return self.device == 'cpu'

    @property
    def workers(self) -> int:
        """Processes that load videos."""
        return 2 if self.is_tiny else len(os.sched_getaffinity(0))

    def model_name(self, size: str) -> str:
        """What stands in the tables."""
        return 'smoke' if self.is_tiny else f'ViT-{size.upper()}'

    def config_file(self, size: str) -> Path:
        """The pretraining config of a size, ``'b'``, ``'l'`` or ``'h'``."""
        return CONFIGS / ('smoke.py' if self.is_tiny else f'mae_st_vit{size}_k400.py')

    def config(self, size: str) -> Config:
        """The same, read."""
        return copy.deepcopy(Config.fromfile(self.config_file(size)))


@dataclass(frozen=True)
class Task:
    """A part of a section that runs in a process of its own.

    Attributes:
        name: Name within the section.
        about: What it does, in a line.
        seconds: How long it takes on an H100, by estimate; it is not begun when less is left.
        run: Does it, and notes each figure when it has it.
        takes_the_rest: It may take all the time that is left, and knows when that is over.
    """

    name: str
    about: str
    seconds: float
    run: Callable[[Place, Notes], None]
    takes_the_rest: bool = False


@dataclass(frozen=True)
class Section:
    """Tasks in order of value, and their share of the time.

    Attributes:
        name: Name, also of the JSON file.
        title: Heading in the summary.
        share: Share of the time when all sections run. What is left over goes to the next one.
        tasks: The tasks.
    """

    name: str
    title: str
    share: float
    tasks: tuple[Task, ...]


def choose(sections: Sequence[Section], names: Sequence[str]) -> list[Section]:
    """Some of the sections, or some of their tasks, named ``section`` or ``section/task``.

    Raises:
        ValueError: If there is no such section or task, naming it.
    """
    valid = {f'{section.name}/{task.name}' for section in sections for task in section.tasks}
    unknown = sorted(set(names) - valid - {section.name for section in sections})
    if unknown:
        raise ValueError(f'--sections: no section or task is called {unknown[0]!r}, see --list')
    chosen = []
    for section in sections:
        tasks = tuple(
            task
            for task in section.tasks
            if section.name in names or f'{section.name}/{task.name}' in names
        )
        if tasks:
            chosen.append(replace(section, tasks=tasks))
    return chosen
