"""Figures on their way from the process that measures them to the report."""

import json
from pathlib import Path
from typing import Any


class Notes:
    """A file that gets a line for each row of figures, at once.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, table: str, **figures: Any) -> None:
        """Append a row to a table."""
        with self.path.open('a', encoding='utf-8') as file:
            file.write(json.dumps(dict(table=table, **figures)) + '\n')

    def check(self, name: str, difference: float, limit: float) -> None:
        """Append a comparison to the table ``checks``."""
        self.add('checks', check=name, difference=difference, limit=limit, ok=difference <= limit)

    def read(self) -> list[dict[str, Any]]:
        """All rows so far. A line that was cut off by a crash is left out."""
        if not self.path.exists():
            return []
        text = self.path.read_text(encoding='utf-8')
        return [json.loads(line) for line in text[: text.rfind('\n') + 1].splitlines()]
