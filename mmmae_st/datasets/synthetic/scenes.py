"""Drawing textured scenes in motion, and writing them as H.264 files.

The photographs are those that the scikit-image wheel carries. A scene is a background seen by a
moving camera, and sprites (pieces of photographs with a soft outline) that travel, turn, grow and
hide one another. Lengths are in frame heights, angles in radians, times in seconds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

TEXTURES = (
    'astronaut.png',
    'brick.png',
    'camera.png',
    'chelsea.png',
    'coffee.png',
    'coins.png',
    'grass.png',
    'gravel.png',
    'ihc.png',
    'motorcycle_left.png',
    'page.png',
    'rocket.jpg',
    'text.png',
)
SHAPES = ('disc', 'box', 'polygon', 'blob')


@lru_cache(maxsize=64)
def load_texture(name: str, short_side: int = 288) -> np.ndarray:
    """One photograph out of the scikit-image wheel.

    Args:
        name: One of ``TEXTURES``.
        short_side: Pixels of its shorter side after resizing.

    Returns:
        uint8 RGB (H, W, 3), read-only because it is shared.

    Raises:
        ValueError: If there is no such photograph.
    """
    if name not in TEXTURES:
        raise ValueError(f'name must be one of {TEXTURES}, got {name!r}')
    import skimage

    with Image.open(Path(skimage.__file__).parent / 'data' / name) as image:
        image = image.convert('RGB')
    factor = short_side / min(image.size)
    size = [round(length * factor) for length in image.size]
    texture = np.asarray(image.resize(size, Image.Resampling.LANCZOS))
    texture.setflags(write=False)
    return texture


@dataclass(frozen=True)
class Track:
    """Pose over time: centre (0, 0 is the middle of the frame), angle and scale; each (N,) float.

    For a sprite, scale is its height in frame heights. For a camera, scale is the zoom and the
    centre is where it looks.
    """

    x: np.ndarray
    y: np.ndarray
    angle: np.ndarray
    scale: np.ndarray

    @classmethod
    def polynomial(
        cls,
        times: np.ndarray,
        x: ArrayLike = (0.0,),
        y: ArrayLike = (0.0,),
        angle: ArrayLike = (0.0,),
        log_scale: ArrayLike = (0.0,),
    ) -> 'Track':
        """Motion given by coefficients in time: (position, speed, half the acceleration, ...)."""
        values = [
            np.polynomial.polynomial.polyval(times, np.asarray(coefficients, np.float64))
            for coefficients in (x, y, angle, log_scale)
        ]
        return cls(values[0], values[1], values[2], np.exp(values[3]))


@dataclass(frozen=True)
class Sprite:
    """A piece of a photograph: uint8 RGB (h, w, 3), float32 alpha (h, w) in [0, 1], its motion."""

    image: np.ndarray
    alpha: np.ndarray
    track: Track


def shape_alpha(kind: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """Outline of a sprite.

    Args:
        kind: One of ``SHAPES``.
        size: Height and width in pixels.
        rng: Draws corners, aspect and bumps.

    Returns:
        float32 (size, size) in [0, 1] with an edge some pixels soft.

    Raises:
        ValueError: If the kind is unknown.
    """
    if kind not in SHAPES:
        raise ValueError(f'kind must be one of {SHAPES}, got {kind!r}')
    turns = np.linspace(0, 2 * np.pi, 128, endpoint=False)
    if kind == 'disc':
        radius = np.ones_like(turns)
    elif kind == 'box':
        half = rng.uniform(0.45, 0.7)  # of height over width, both ends inside the unit circle
        radius = 1 / np.maximum(np.abs(np.cos(turns)) / 0.8, np.abs(np.sin(turns)) / half)
    elif kind == 'polygon':
        corners = int(rng.integers(3, 8))
        turns = (np.arange(corners) + rng.uniform(-0.25, 0.25, corners)) * 2 * np.pi / corners
        radius = rng.uniform(0.75, 1.0, corners)
    else:
        waves = np.arange(2, 6)
        bumps = np.cos(waves * turns[:, None] + rng.uniform(0, 2 * np.pi, 4)) / waves
        radius = 1 + 0.6 * (bumps @ rng.uniform(0.3, 1.0, 4))
        radius /= radius.max()
    points = np.stack([np.cos(turns), np.sin(turns)], 1) * radius[:, None]
    mask = np.zeros((size, size), np.uint8)
    points = ((points * 0.9 + 1) * size / 2 * 16).round().astype(np.int32)
    cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, shift=4)
    return cv2.GaussianBlur(mask, (0, 0), size / 120).astype(np.float32) / 255


def render(
    background: np.ndarray,
    camera: Track,
    sprites: Sequence[Sprite],
    height: int,
    width: int,
) -> Iterator[np.ndarray]:
    """Draw a scene frame by frame; later sprites hide earlier ones.

    The camera acts on everything. Beyond its edge the background is mirrored.

    Args:
        background: uint8 RGB (H, W, 3); at zoom 1 its shorter side spans 1.5 frame heights.
        camera: Motion of the camera; its length is the number of frames.
        sprites: From back to front.
        height: Height of the frames in pixels.
        width: Width of the frames in pixels.

    Yields:
        uint8 RGB (height, width, 3).

    Raises:
        ValueError: If a sprite's track is shorter than the camera's.
    """
    short = min(len(sprite.track.x) for sprite in sprites) if sprites else len(camera.x)
    if short < len(camera.x):
        raise ValueError(f'sprite tracks must cover the {len(camera.x)} frames, got one of {short}')
    centre = _translate(width / 2 - 0.5, height / 2 - 0.5) @ np.diag([height, height, 1.0])
    for i in range(len(camera.x)):
        view = centre @ _pose(-camera.angle[i], camera.scale[i])
        view = view @ _translate(-camera.x[i], -camera.y[i])
        matrix = view @ _unit_picture(background.shape, 1.5 / min(background.shape[:2]))
        frame = cv2.warpAffine(
            background, matrix[:2], (width, height), borderMode=cv2.BORDER_REFLECT_101
        )
        for sprite in sprites:
            track = sprite.track
            world = _translate(track.x[i], track.y[i]) @ _pose(track.angle[i], track.scale[i])
            unit = _unit_picture(sprite.image.shape, 1 / sprite.image.shape[0])
            _paste(frame, sprite, view @ world @ unit)
        yield frame


def _pose(angle: float, scale: float) -> np.ndarray:
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def _translate(x: float, y: float) -> np.ndarray:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def _unit_picture(shape: tuple[int, ...], pixel: float) -> np.ndarray:
    """From pixels of a picture to lengths around its centre; a pixel is so long."""
    return np.diag([pixel, pixel, 1.0]) @ _translate(0.5 - shape[1] / 2, 0.5 - shape[0] / 2)


def _paste(frame: np.ndarray, sprite: Sprite, matrix: np.ndarray) -> None:
    """Blend a sprite into the frame, in place, within its bounding box."""
    h, w = sprite.alpha.shape
    corners = matrix[:2] @ np.array([[0, w, w, 0], [0, 0, h, h], [1, 1, 1, 1]])
    left, top = np.maximum(np.floor(corners.min(1)).astype(int), 0)
    right, bottom = np.minimum(np.ceil(corners.max(1)).astype(int) + 1, frame.shape[1::-1])
    if left >= right or top >= bottom:
        return
    local = (_translate(-left, -top) @ matrix)[:2]
    size = (int(right - left), int(bottom - top))
    image = cv2.warpAffine(sprite.image, local, size, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(sprite.alpha, local, size)[..., None]
    area = frame[top:bottom, left:right]
    area[:] = (area + alpha * (image.astype(np.float32) - area) + 0.5).astype(np.uint8)
