"""Raw frames: a folder of images named by a template."""

import re
from collections.abc import Sequence

import cv2
import numpy as np
from mmengine.fileio import get, join_path, list_dir_or_file

from mmmae_st.datasets.readers.base import BaseReader, VideoReadError, check_frames, shrink


def frame_pattern(frame_tmpl: str) -> re.Pattern:
    """Turn ``'img_{:05}.jpg'`` into a pattern that captures the frame number.

    Raises:
        ValueError: The template does not hold exactly one ``{}`` field.
    """
    parts = re.split(r'\{[^{}]*\}', frame_tmpl)
    if len(parts) != 2:
        raise ValueError(
            f"frame_tmpl must hold one field, as in 'img_{{:05}}.jpg', got {frame_tmpl!r}"
        )
    return re.compile(re.escape(parts[0]) + r'(\d+)' + re.escape(parts[1]))


class FrameFolderReader(BaseReader):
    """Reads the images of a folder in the order of their numbers; the first may be 0 or 1.

    Args:
        path: Folder, local or of a file backend that can list.
        frame_tmpl: File name template such as ``'img_{:05}.jpg'``.
        backend_args: Arguments of mmengine's file backend.
    """

    fps = 0.0

    def __init__(self, path: str, frame_tmpl: str, backend_args: dict | None = None) -> None:
        pattern = frame_pattern(frame_tmpl)
        names = list_dir_or_file(path, list_dir=False, backend_args=backend_args)
        matches = [match for match in map(pattern.fullmatch, names) if match]
        matches.sort(key=lambda match: int(match.group(1)))
        if not matches:
            raise VideoReadError(f'no file in the folder matches {frame_tmpl!r}')
        self._names = [match.group(0) for match in matches]
        self._path = path
        self._backend_args = backend_args
        self.num_frames = len(self._names)

    def read(self, indices: Sequence[int], short_side: int | None = None) -> dict[int, np.ndarray]:
        """See :class:`BaseReader`."""
        frames = {index: shrink(self._load(index), short_side) for index in set(indices)}
        return check_frames(frames, indices)

    def _load(self, index: int) -> np.ndarray:
        name = self._names[index]
        file = join_path(self._path, name, backend_args=self._backend_args)
        data = np.frombuffer(get(file, backend_args=self._backend_args), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
        if image is None:
            raise VideoReadError(f'{name} is not an image')
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

    def close(self) -> None:
        """Nothing stays open between frames."""
