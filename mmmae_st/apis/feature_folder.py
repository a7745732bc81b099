"""A folder of window features: one matrix a video, whole or not there, all of one kind.

Beside each ``<name>.npy`` or ``.npz`` stands ``<name>.json`` with what it is of; ``_settings.json``
says how all were made, so that an interrupted run is taken up and no other run mixes in.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mmmae_st.apis.feature_inferencer import ClipEncoder
from mmmae_st.apis.inputs import VideoInput, square_size
from mmmae_st.apis.window_features import TARGET_FPS, FeaturesOfWindows, WindowSettings
from mmmae_st.datasets import VideoReadError
from mmmae_st.evaluation.frozen_features import add_encoder
from mmmae_st.fileio.atomic_file import write_whole, written_whole

SUFFIXES = ('.npy', '.npz')
DTYPES = ('float16', 'float32')


class FeatureFolder:
    """Where the features of videos are written.

    Args:
        folder: The folder; it is made.
        suffix: ``'.npy'``, the matrix alone, or ``'.npz'``: ``feats``, ``seconds`` (N, 2) and
            ``fps``.
        dtype: ``'float16'`` or ``'float32'``.

    Raises:
        ValueError: If an argument is unknown.
    """

    def __init__(self, folder: str | Path, suffix: str = '.npy', dtype: str = 'float16') -> None:
        if suffix not in SUFFIXES:
            raise ValueError(f'suffix must be one of {SUFFIXES}, got {suffix!r}')
        if dtype not in DTYPES:
            raise ValueError(f'dtype must be one of {DTYPES}, got {dtype!r}')
        self.folder = Path(folder)
        self.suffix = suffix
        self.dtype = dtype

    def file(self, video: VideoInput) -> Path:
        """Where the features of a video are, or will be."""
        return self.folder / f'{video.name}{self.suffix}'

    def note(self, video: VideoInput) -> dict[str, Any]:
        """What was written beside the features of a video."""
        return json.loads((self.folder / f'{video.name}.json').read_text(encoding='utf-8'))

    def require_same(self, encoder: ClipEncoder, settings: WindowSettings) -> None:
        """Write down the settings, or compare them with those that are there.

        Raises:
            ValueError: If the folder holds features of other settings; names what differs.
        """
        digest = hashlib.sha256()
        add_encoder(digest, encoder.encoder, encoder.preprocessor)
        wanted = dict(
            encoder=digest.hexdigest()[:16],
            output=encoder.output,
            layer=encoder.layer % len(encoder.encoder.blocks),
            clip_len=square_size(encoder.encoder)[0],
            fps=TARGET_FPS,
            stride=settings.stride,
            frame_interval=settings.frame_interval,
            dtype=self.dtype,
        )
        path = self.folder / '_settings.json'
        if path.exists():
            there = json.loads(path.read_text(encoding='utf-8'))
            for key, value in wanted.items():
                if there.get(key) != value:
                    raise ValueError(
                        f'{self.folder} holds features of {key}={there.get(key)!r}, not '
                        f'{value!r}: give another folder'
                    )
        else:
            write_whole(path, json.dumps(wanted, indent=2))

    def write(
        self,
        encoder: ClipEncoder,
        video: VideoInput,
        settings: WindowSettings,
        on_batch: Callable[[int], object] = lambda number: None,
    ) -> None:
        """Find and write the features of a video; those that were read where it breaks off.

        In memory is one batch.

        Args:
            encoder: Gives the features.
            video: The video.
            settings: What windows are taken.
            on_batch: Called with the number of windows of each batch.

        Raises:
            VideoReadError: If nothing of it can be read.
        """
        source = FeaturesOfWindows(encoder, video, settings)
        with written_whole(self.file(video)) as temporary:
            rows_file = temporary.with_suffix('.rows')
            try:
                rows = self._write_rows(source, rows_file, on_batch)
                with temporary.open('wb') as file:
                    if self.suffix == '.npy':
                        np.save(file, rows)
                    else:
                        seconds = source.windows.seconds[: len(rows)]
                        np.savez(file, feats=rows, seconds=seconds, fps=source.fps)
            finally:
                rows_file.unlink(missing_ok=True)
            note = dict(video=video.path, **source.summary(len(rows)))
            write_whole(self.folder / f'{video.name}.json', json.dumps(note, indent=2))

    def _write_rows(
        self, source: FeaturesOfWindows, path: Path, on_batch: Callable[[int], object]
    ) -> np.ndarray:
        rows, done = None, 0
        for batch in source:
            if rows is None:
                shape = (len(source.windows.seconds), *batch.shape[1:])
                rows = np.lib.format.open_memmap(path, 'w+', np.dtype(self.dtype), shape)
            rows[done : done + len(batch)] = batch
            done += len(batch)
            on_batch(len(batch))
        if rows is None:
            raise VideoReadError(source.error or 'no window could be read')
        return rows[:done]
