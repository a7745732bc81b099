"""Tools as modules, and a tiny checkpoint as the Runner writes it."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='session')
def tool() -> Callable[[str], ModuleType]:
    """Load a tool by its path below tools/."""

    def load(path: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / 'tools' / path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


class Converters:
    """The tools of tools/dataset_converters, which import one another by name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        monkeypatch.syspath_prepend(str(ROOT / 'tools' / 'dataset_converters'))

    def load(self, name: str) -> ModuleType:
        """A tool as a module."""
        return importlib.import_module(name)

    def run(self, name: str, *args: Any) -> Any:
        """Run a tool in this process; returns its exit code."""
        self.monkeypatch.setattr(sys, 'argv', [name, *map(str, args)])
        return self.load(name).main()


@pytest.fixture
def converter(monkeypatch: pytest.MonkeyPatch) -> Converters:
    """Load or run a tool of tools/dataset_converters by its name."""
    return Converters(monkeypatch)


@pytest.fixture
def prepare(converter: Converters) -> Callable[..., Any]:
    """Run prepare_videos.py on two folders."""

    def run(source: Path, target: Path, *args: Any) -> Any:
        return converter.run('prepare_videos', source, target, '--workers', 2, *args)

    return run


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder for videos."""
    folder = tmp_path / 'source'
    folder.mkdir()
    return folder
