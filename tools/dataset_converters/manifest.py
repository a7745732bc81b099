"""The record of a folder of prepared videos: what is in it, and how it was made."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from common import written_whole
from encoding import Settings

from mmmae_st.datasets.prepared import SETTINGS_FILE

FILE = 'manifest.jsonl'


def require_same_settings(folder: str, settings: Settings) -> None:
    """Write the settings to a new folder; refuse others in one that has been begun.

    Raises:
        ValueError: The videos in the folder were made otherwise.
    """
    path = os.path.join(folder, SETTINGS_FILE)
    wanted = asdict(settings)
    if os.path.exists(path):
        with open(path, encoding='utf-8') as file:
            there = json.load(file)
        if there != wanted:
            other = ', '.join(
                f'{key}={there.get(key)} in place of {value}'
                for key, value in wanted.items()
                if there.get(key) != value
            )
            raise ValueError(f'the videos in {folder!r} were made with {other}: name a new folder')
    else:
        with written_whole(path) as temporary, open(temporary, 'w', encoding='utf-8') as file:
            json.dump(wanted, file, indent=1)


class Manifest:
    """JSON lines, one a video; added to while videos are made, put in order at the end.

    A record has ``source`` and ``path`` (relative to their folders), ``frames``, ``rate`` (frames a
    second), ``bytes``, ``size`` (width, height), ``key_frames`` (their numbers) and, where it is
    known, ``label``.

    Args:
        folder: Where the prepared videos are.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.path = os.path.join(folder, FILE)
        self.lines: dict[str, str] = {}  # as text, a quarter of what the records would take
        if os.path.exists(self.path):
            with open(self.path, encoding='utf-8') as file:
                for line in file:
                    if line.endswith('\n'):  # else the writing of it was cut short
                        self.lines[json.loads(line)['source']] = line

    def holds(self, source: str) -> bool:
        """Whether a video has been made and is still there as it was."""
        if source not in self.lines:
            return False
        record = json.loads(self.lines[source])
        path = os.path.join(self.folder, record['path'])
        return os.path.exists(path) and os.path.getsize(path) == record['bytes']

    def add(self, record: dict) -> None:
        """Note a video at once, so that an interruption loses nothing."""
        self.lines[record['source']] = line = json.dumps(record) + '\n'
        with open(self.path, 'a', encoding='utf-8') as file:
            file.write(line)

    def put_in_order(self, labels: dict[str, int]) -> None:
        """Write the records by the names of their sources, with labels where they are known."""
        for source, label in labels.items():
            if source in self.lines:
                record = json.loads(self.lines[source])
                self.lines[source] = json.dumps(dict(record, label=label)) + '\n'
        with written_whole(self.path) as temporary, open(temporary, 'w', encoding='utf-8') as file:
            file.writelines(self.lines[source] for source in sorted(self.lines))

    def of(self, sources: Iterable[str]) -> Iterator[dict]:
        """The records of these videos, of those that have been made."""
        return (json.loads(self.lines[source]) for source in sources if source in self.lines)
