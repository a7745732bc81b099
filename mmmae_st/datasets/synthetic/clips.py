"""A set of synthetic clips to train on where there is no video: random scenes, from a seed."""

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from mmmae_st.datasets.parallel import progress, usable_cores
from mmmae_st.datasets.synthetic.scenes import (
    SHAPES,
    TEXTURES,
    Sprite,
    Track,
    load_texture,
    render,
    shape_alpha,
)
from mmmae_st.fileio.atomic_file import remove_leftovers, write_whole
from mmmae_st.fileio.video_writer import write_video

# Raised when the same seed draws another clip than before: old files are then made anew.
DRAWING_VERSION = 1
SETTINGS = 'settings.json'


@dataclass(frozen=True)
class ClipSettings:
    """What a clip is made from; the same settings give the same files.

    Args:
        seed: Seed of the set, >= 0; clip ``i`` depends on (seed, i) alone.
        num_frames: Frames of a clip.
        height: Pixels, even.
        width: Pixels, even.
        fps: Frames per second.
        textures: Names out of ``TEXTURES`` to draw with, at least two.
        version: Version of the drawing.

    Raises:
        ValueError: If an argument is out of its range, naming it.
    """

    seed: int = 0
    num_frames: int = 96
    height: int = 144
    width: int = 192
    fps: int = 30
    textures: tuple[str, ...] = TEXTURES
    version: int = DRAWING_VERSION

    def __post_init__(self) -> None:
        """Check the values."""
        if self.seed < 0:
            raise ValueError(f'seed must be at least 0, got {self.seed}')
        for name in ('num_frames', 'fps'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name} must be at least 1, got {getattr(self, name)}')
        for name in ('height', 'width'):
            value = getattr(self, name)
            if value < 16 or value % 2:
                raise ValueError(f'{name} must be even and at least 16, got {value}')
        unknown = sorted(set(self.textures) - set(TEXTURES))
        if unknown or len(set(self.textures)) < 2:
            raise ValueError(f'textures must be at least two of {TEXTURES}, got {self.textures}')


def random_scene(
    rng: np.random.Generator, settings: ClipSettings
) -> tuple[np.ndarray, Track, list[Sprite]]:
    """Draw a background, the motion of the camera, and three to six sprites.

    Returns:
        What :func:`render` takes: background uint8 RGB (H, W, 3), camera, sprites.
    """
    times = (np.arange(settings.num_frames) - (settings.num_frames - 1) / 2) / settings.fps
    names = [settings.textures[i] for i in rng.permutation(len(settings.textures))]
    camera = Track.polynomial(
        times,
        x=rng.normal(0, (0.25, 0.12, 0.03)),
        y=rng.normal(0, (0.15, 0.08, 0.03)),
        angle=rng.normal(0, (0.5, 0.2, 0.03)),
        log_scale=rng.normal(0, (0.15, 0.12)),
    )
    # Even spacing of directions keeps several sprites from all leaving on one side.
    num_sprites = int(rng.integers(3, 7))
    first = rng.uniform(0, 2 * np.pi)
    sprites = []
    for i in range(num_sprites):
        name = names[1 + i % (len(names) - 1)]
        direction = first + 2 * np.pi * i / num_sprites + rng.normal(0, 0.3)
        speed = rng.uniform(0.1, 0.6)
        sprites.append(
            Sprite(
                image=_random_piece(rng, name, 96),
                alpha=shape_alpha(str(rng.choice(SHAPES)), 96, rng),
                track=Track.polynomial(
                    times,
                    x=(rng.uniform(-0.5, 0.5), speed * np.cos(direction), rng.normal(0, 0.08)),
                    y=(rng.uniform(-0.3, 0.3), speed * np.sin(direction), rng.normal(0, 0.08)),
                    angle=(rng.uniform(0, 2 * np.pi), rng.normal(0, 1.0)),
                    log_scale=(np.log(rng.uniform(0.3, 0.65)), rng.normal(0, 0.2)),
                ),
            )
        )
    return load_texture(names[0], round(1.5 * settings.height)), camera, sprites


def _random_piece(rng: np.random.Generator, name: str, size: int) -> np.ndarray:
    """A square of a photograph, a third to all of its shorter side, as (size, size, 3)."""
    texture = load_texture(name)
    side = round(rng.uniform(0.35, 1.0) * min(texture.shape[:2]))
    top, left = (int(rng.integers(length - side + 1)) for length in texture.shape[:2])
    piece = texture[top : top + side, left : left + side]
    return cv2.resize(piece, (size, size), interpolation=cv2.INTER_AREA)


def make_clip(path: Path, index: int, settings: ClipSettings) -> None:
    """Draw clip ``index`` of a set and write it to ``path``."""
    rng = np.random.default_rng((settings.seed, index))
    background, camera, sprites = random_scene(rng, settings)
    frames = render(background, camera, sprites, settings.height, settings.width)
    write_video(path, frames, settings.fps)


def make_clips(
    folder: str | Path,
    num_clips: int,
    settings: ClipSettings,
    workers: int | None = None,
) -> tuple[list[Path], int]:
    """Make a set of clips in a folder, or what is missing of it.

    Each file appears under its name only when complete, so an interrupted set is gone on with.
    Clips that were made with other settings, or are more than asked for, are removed.

    Args:
        folder: Made when absent. Its clips are ``clip_00000.mp4`` and so on.
        num_clips: Size of the set, at least 1.
        settings: What the clips are made from.
        workers: Processes; the number of CPUs for None.

    Returns:
        The files, and how many of them were made now.

    Raises:
        ValueError: If ``num_clips`` or ``workers`` is below 1.
    """
    if num_clips < 1:
        raise ValueError(f'num_clips must be at least 1, got {num_clips}')
    if workers is None:
        workers = usable_cores()
    if workers < 1:
        raise ValueError(f'workers must be at least 1, got {workers}')
    folder = Path(folder)
    paths = [folder / f'clip_{index:05}.mp4' for index in range(num_clips)]
    _prepare(folder, set(paths), settings)
    missing = [(path, i) for i, path in enumerate(paths) if not path.exists()]
    if not missing:
        return paths, 0
    with ProcessPoolExecutor(
        min(workers, len(missing)), initializer=cv2.setNumThreads, initargs=(0,)
    ) as pool:
        done = pool.map(partial(make_clip, settings=settings), *zip(*missing, strict=True))
        with progress(len(missing), str(folder), 'clip') as bar:
            for _ in done:
                bar.update()
    return paths, len(missing)


def _prepare(folder: Path, wanted: set[Path], settings: ClipSettings) -> None:
    """Leave in the folder only the clips of these settings."""
    folder.mkdir(parents=True, exist_ok=True)
    record = json.dumps(asdict(settings), indent=1)
    file = folder / SETTINGS
    is_same = file.exists() and file.read_text() == record
    for path in folder.glob('clip_*.mp4'):
        if not is_same or path not in wanted:
            path.unlink()
    remove_leftovers(folder)
    if not is_same:
        write_whole(file, record)
