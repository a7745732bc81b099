"""Records of a million videos in the space of their text."""

from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from mmengine.fileio import join_path


class RecordList(Sequence):
    """Records with ``path`` and perhaps ``label``, each made when it is asked for.

    What is kept is one text and where each path stands in it: no object for each record, so that
    reading is quick and the workers of a loader share the memory.

    Args:
        text: What the paths are cut from, in UTF-8.
        starts, stops: (N,) int64, the bytes of each path.
        labels: (N,) int64; None for records without.
        folder: Put before each path.
        backend_args: Arguments of mmengine's file backend, by which it is.
    """

    def __init__(
        self,
        text: bytes,
        starts: array | np.ndarray,
        stops: array | np.ndarray,
        labels: array | np.ndarray | None = None,
        folder: str = '',
        backend_args: dict | None = None,
    ) -> None:
        self.text = text
        self.starts = np.asarray(starts)
        self.stops = np.asarray(stops)
        self.labels = None if labels is None else np.asarray(labels)
        self.folder = folder
        self.backend_args = backend_args

    @classmethod
    def of_paths(cls, paths: Iterable[str]) -> 'RecordList':
        """Records without labels; the paths may hold anything, line breaks too."""
        encoded = [path.encode('utf-8', 'surrogateescape') for path in paths]
        stops = np.cumsum([len(path) for path in encoded], dtype=np.int64)
        starts = np.concatenate([np.zeros(1, np.int64), stops[:-1]])
        return cls(b''.join(encoded), starts, stops)

    def below(self, folder: str, backend_args: dict | None = None) -> 'RecordList':
        """The same records with a folder before each path."""
        return RecordList(self.text, self.starts, self.stops, self.labels, folder, backend_args)

    def path(self, index: int) -> str:
        """A path as it is written, without the folder."""
        data = self.text[self.starts[index] : self.stops[index]]
        return data.decode('utf-8', 'surrogateescape')

    def line(self, index: int) -> str:
        """The whole line of the text that a path stands in."""
        begin = self.text.rfind(b'\n', 0, self.starts[index]) + 1
        end = self.text.find(b'\n', self.stops[index])
        return self.text[begin : end if end >= 0 else None].decode('utf-8').strip()

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: Any) -> Any:
        """A record (dict) for a number, a RecordList for a slice or several numbers."""
        if not isinstance(index, (int, np.integer)):
            chosen = index if isinstance(index, slice) else np.asarray(index, np.int64)
            labels = None if self.labels is None else self.labels[chosen]
            starts, stops = self.starts[chosen], self.stops[chosen]
            return RecordList(self.text, starts, stops, labels, self.folder, self.backend_args)
        path = self.path(int(index))
        if self.folder:
            path = join_path(self.folder, path, backend_args=self.backend_args)
        if self.labels is None:
            return dict(path=path)
        return dict(path=path, label=int(self.labels[index]))
