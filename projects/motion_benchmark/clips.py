"""The benchmark's sets of clips: H.264 files, their lists, and their frames read once."""

import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from mmengine.logging import print_log

from mmmae_st.datasets.readers import open_video
from mmmae_st.fileio.video_writer import write_video

from .scenes import CLASSES, PHOTOGRAPHS, TEXTURES, THINGS, draw_clip

# Raised when the same seed draws other clips than before: old files are then made anew.
DRAWING_VERSION = 1
SPLITS = tuple(TEXTURES)
# Sets of labels, and their classes.
LABEL_SETS = dict(motion=CLASSES, appearance=PHOTOGRAPHS)
CRF = 14  # little loss: what is left of the last frame in this one must not give the motion away


@dataclass(frozen=True)
class ClipSet:
    """What the clips are made from; the same settings give the same files.

    Args:
        num_train: Clips of the training split, a multiple of the number of classes.
        num_val: Clips to choose the recipe on, likewise.
        num_test: Clips to report on, likewise.
        num_frames: Frames of a clip, at least 4.
        size: Height and width in pixels, even.
        blur: Standard deviation in pixels of a Gaussian blur of the frames. It makes a patch as
            much alike within as those of real videos are, see redundancy.py.
        appearances: Clips have a class of appearance, too: what moves. Every pair of classes is
            equally frequent, so that neither tells the other.
        seed: Of everything drawn; clip ``i`` of a split depends on (seed, split, i) alone.

    Raises:
        ValueError: If an argument is out of its range, naming it.
    """

    num_train: int
    num_val: int
    num_test: int
    num_frames: int = 16
    size: int = 64
    blur: float = 0.0
    appearances: bool = False
    seed: int = 0
    version: int = DRAWING_VERSION

    def __post_init__(self) -> None:
        """Check the values."""
        for split in SPLITS:
            number = self.number(split)
            unit = len(CLASSES) * (len(THINGS) if self.appearances else 1)
            if number < unit or number % unit:
                raise ValueError(f'num_{split} must be a positive multiple of {unit}, got {number}')
        if self.num_frames < 4:
            raise ValueError(f'num_frames must be at least 4, got {self.num_frames}')
        if self.size < 16 or self.size % 2:
            raise ValueError(f'size must be even and at least 16, got {self.size}')
        if self.blur < 0:
            raise ValueError(f'blur must be at least 0, got {self.blur}')
        if self.seed < 0:
            raise ValueError(f'seed must be at least 0, got {self.seed}')

    @property
    def label_sets(self) -> tuple[str, ...]:
        """Those of ``LABEL_SETS`` that the clips have."""
        return tuple(LABEL_SETS) if self.appearances else ('motion',)

    def number(self, split: str) -> int:
        """Clips of a split."""
        return {'train': self.num_train, 'val': self.num_val, 'test': self.num_test}[split]


def label_of(index: int, labels: str) -> int:
    """Class of clip ``index`` of a split in one of ``LABEL_SETS``."""
    if labels == 'motion':
        return index % len(CLASSES)
    return PHOTOGRAPHS.index(THINGS[thing_of(index)][0])


def thing_of(index: int) -> int:
    """What moves in clip ``index`` of a split, in sets with classes of appearance."""
    return index // len(CLASSES) % len(THINGS)


def list_file(split: str, labels: str) -> str:
    """Name of the list of a split with one of ``LABEL_SETS``."""
    return f'{split}.txt' if labels == 'motion' else f'{split}_{labels}.txt'


def make_clip(path: Path, index: int, split: str, clip_set: ClipSet) -> None:
    """Draw clip ``index`` of a split, of class ``index % 16``, and write it to ``path``."""
    rng = np.random.default_rng((clip_set.seed, SPLITS.index(split), index))
    motion = label_of(index, 'motion')
    thing = thing_of(index) if clip_set.appearances else None
    frames = draw_clip(motion, split, clip_set.num_frames, clip_set.size, rng, thing)
    if clip_set.blur:
        frames = [cv2.GaussianBlur(frame, (0, 0), clip_set.blur) for frame in frames]
    write_video(path, frames, crf=CRF)


def make_set(folder: str | Path, clip_set: ClipSet, workers: int) -> Path:
    """Make the clips, or what is missing of them, and read their frames.

    Each file appears under its name only when it is complete, so that an interrupted set is gone
    on with. A set of other settings in the folder is refused.

    Args:
        folder: Made when absent. Gets ``train/clip_00000.mp4`` and so on, ``train.txt`` with one
            ``path label`` a line, ``train_appearance.txt`` where the clips have such classes, and
            ``train.npy``, (clips, frames, height, width, 3) uint8 RGB;
            the same for ``val`` and ``test``.
        clip_set: What the clips are made from.
        workers: Processes, at least 1.

    Returns:
        The folder.

    Raises:
        ValueError: If ``workers`` is below 1, or the folder holds another set.
    """
    if workers < 1:
        raise ValueError(f'workers must be at least 1, got {workers}')
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    record, settings = folder / 'settings.json', json.dumps(asdict(clip_set), indent=1)
    if record.exists() and record.read_text() != settings:
        raise ValueError(f'folder must be empty or hold the same set, {folder} holds another')
    _write(record, settings)
    with ProcessPoolExecutor(workers, initializer=cv2.setNumThreads, initargs=(0,)) as pool:
        for split in SPLITS:
            _make_split(folder, split, clip_set, pool)
    return folder


def _make_split(folder: Path, split: str, clip_set: ClipSet, pool: ProcessPoolExecutor) -> None:
    names = [f'clip_{i:05}.mp4' for i in range(clip_set.number(split))]
    (folder / split).mkdir(exist_ok=True)
    missing = [(folder / split / name, i) for i, name in enumerate(names)]
    missing = [(path, i) for path, i in missing if not path.exists()]
    if missing:
        print_log(
            f'{folder / split}: {len(missing)} of {len(names)} clips to make', logger='current'
        )
        work = partial(make_clip, split=split, clip_set=clip_set)
        for _ in pool.map(work, *zip(*missing, strict=True), chunksize=8):
            pass
    for labels in clip_set.label_sets:
        lines = [f'{name} {label_of(i, labels)}' for i, name in enumerate(names)]
        _write(folder / list_file(split, labels), '\n'.join(lines) + '\n')
    if not (folder / f'{split}.npy').exists():
        paths = [str(folder / split / name) for name in names]
        frames = np.stack(list(pool.map(read_clip, paths, chunksize=8)))
        part = folder / f'.{split}.part.npy'
        np.save(part, frames)
        os.replace(part, folder / f'{split}.npy')


def read_clip(path: str) -> np.ndarray:
    """All frames of a file, through the project's reader: uint8 RGB (T, H, W, 3)."""
    with open_video(path, 'pyav', None, None) as reader:
        frames = reader.read(list(range(reader.num_frames)))
    return np.stack([frames[i] for i in sorted(frames)])


def _write(path: Path, text: str) -> None:
    part = path.with_name(f'.{path.name}.part')
    part.write_text(text)
    os.replace(part, path)
