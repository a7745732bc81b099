"""Scenes of sixteen motion classes that no single frame reveals.

Every clip shows the same thing: two sprites on a background, in front of a camera that drifts. The
pose has five parts: the centre of the pair (on a torus, so that what leaves on one side comes back
on the other), the turn of each sprite, their size (cyclic: the largest is followed by the
smallest), and the phase of a carousel that they ride, which says how far apart they are and which
one is in front. Each part starts anywhere on its cycle, with equal probability, and the class
decides only how it goes on. So at any frame all poses are equally likely, whatever the class: a
frame tells nothing, and the order of frames everything.

Lengths are in frame heights, angles in radians, time runs from 0 to 1 over the clip.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from mmmae_st.datasets.synthetic.scenes import Sprite, Track, load_texture, render, shape_alpha

CLASSES = (
    'move right',
    'move left',
    'move down',
    'move up',
    'turn clockwise',
    'turn anticlockwise',
    'approach',
    'recede',
    'speed up',
    'slow down',
    'turn, then move',
    'move, then turn',
    'front passes right',
    'front passes left',
    'orbit clockwise',
    'orbit anticlockwise',
)
# No photograph is in two splits.
TEXTURES = dict(
    train=(
        'astronaut.png',
        'brick.png',
        'camera.png',
        'coffee.png',
        'grass.png',
        'motorcycle_left.png',
        'page.png',
    ),
    val=('coins.png', 'ihc.png', 'rocket.jpg'),
    test=('chelsea.png', 'gravel.png', 'text.png'),
)
OUTLINES = ('box', 'polygon', 'blob')  # a disc would turn unseen
# Classes of appearance: the photograph that both sprites are cut from. In sets with such classes
# all splits share the photographs; each clip has pieces, colours and shapes of its own.
PHOTOGRAPHS = (
    'astronaut.png',
    'brick.png',
    'coins.png',
    'grass.png',
    'ihc.png',
    'motorcycle_left.png',
    'page.png',
    'rocket.jpg',
)
THINGS = tuple((name, outline) for name in PHOTOGRAPHS for outline in ('box', 'blob'))
BACKGROUNDS = ('camera.png', 'chelsea.png', 'coffee.png', 'gravel.png', 'text.png')
PERIOD = 1.2  # side of the torus; the camera sees about 1
SMALLEST, LARGEST = 0.36, 0.85  # sizes of a sprite
REACH = 0.38  # of the carousel, from its centre
ORBIT = 0.24  # radius
SPRITE_PIXELS = 64


@dataclass(frozen=True)
class Poses:
    """The motion of the two sprites over N frames.

    Attributes:
        centre: (N, 2) middle of the pair, x to the right and y down, on the torus.
        angle: (N, 2) of either sprite, clockwise as seen.
        size: (N,) of both, 0 to 1 between the smallest and the largest, cyclic.
        carousel: (N,) phase; the first sprite is in front where its cosine is positive.
        tilt: Direction in which the carousel's seats lie, within 30 degrees of horizontal.
    """

    centre: np.ndarray
    angle: np.ndarray
    size: np.ndarray
    carousel: np.ndarray
    tilt: float

    def positions(self) -> np.ndarray:
        """Where the sprites are: (2, N, 2), on the torus."""
        axis = np.array([np.cos(self.tilt), np.sin(self.tilt)])
        offset = REACH * np.sin(self.carousel)[:, None] * axis
        return np.stack([self.centre + offset, self.centre - offset])


def draw_poses(label: int, num_frames: int, rng: np.random.Generator) -> Poses:
    """Draw a motion of class ``CLASSES[label]``.

    Raises:
        ValueError: If there is no such class or less than four frames.
    """
    if not 0 <= label < len(CLASSES):
        raise ValueError(f'label must be within [0, {len(CLASSES)}), got {label}')
    if num_frames < 4:
        raise ValueError(f'num_frames must be at least 4, got {num_frames}')
    times = np.linspace(0, 1, num_frames)
    centre = np.tile(rng.uniform(0, PERIOD, 2), (num_frames, 1))
    angle = np.tile(rng.uniform(0, 2 * np.pi, 2), (num_frames, 1))
    size = np.full(num_frames, rng.uniform())
    carousel = np.full(num_frames, rng.uniform(0, 2 * np.pi))
    tilt = rng.uniform(-np.pi / 6, np.pi / 6)

    # Drawn for every class alike, so that classes differ in nothing else.
    amount = rng.uniform(0.8, 1.2)
    heading = rng.uniform(0, 2 * np.pi)
    wobble = rng.uniform(-np.pi / 9, np.pi / 9)
    switch = rng.uniform(0.4, 0.6)
    sense = rng.choice([-1.0, 1.0])
    early, late = np.minimum(times / switch, 1), np.maximum((times - switch) / (1 - switch), 0)

    def go(distance: np.ndarray, direction: float) -> None:
        nonlocal centre
        centre = centre + distance[:, None] * np.array([np.cos(direction), np.sin(direction)])

    name = CLASSES[label]
    if name in ('move right', 'move down', 'move left', 'move up'):
        quarter = ('move right', 'move down', 'move left', 'move up').index(name)
        go(0.9 * amount * times, quarter * np.pi / 2 + wobble)
    elif name in ('turn clockwise', 'turn anticlockwise'):
        angle = angle + (1 if name == 'turn clockwise' else -1) * 3.8 * amount * times[:, None]
    elif name in ('approach', 'recede'):
        size = size + (1 if name == 'approach' else -1) * 0.65 * amount * times
    elif name == 'speed up':
        go(amount * times**2.5, heading)
    elif name == 'slow down':
        go(amount * (1 - (1 - times) ** 2.5), heading)
    elif name in ('turn, then move', 'move, then turn'):
        turn, move = (early, late) if name == 'turn, then move' else (late, early)
        angle = angle + sense * 2.6 * amount * turn[:, None]
        go(0.6 * amount * move, heading)
    elif name in ('front passes right', 'front passes left'):
        carousel = carousel + (1 if name == 'front passes right' else -1) * 4.4 * amount * times
    else:
        way = (1 if name == 'orbit clockwise' else -1) * 5.0 * amount * times + heading
        centre = centre + ORBIT * np.stack([np.cos(way), np.sin(way)], 1)
    return Poses(
        centre % PERIOD, angle % (2 * np.pi), size % 1, carousel % (2 * np.pi), float(tilt)
    )


def classify_poses(poses: Poses) -> int:
    """Tell the class from the motion: what a perfect observer would do."""

    def steps(values: np.ndarray, period: float) -> np.ndarray:
        return (np.diff(values, axis=0) + period / 2) % period - period / 2

    move = steps(poses.centre, PERIOD)
    speed = np.linalg.norm(move, axis=1)
    turn = steps(poses.angle, 2 * np.pi).mean(axis=1)
    grow = steps(poses.size, 1.0)
    ride = steps(poses.carousel, 2 * np.pi)
    still = 1e-9
    if np.abs(ride).max() > still:
        return CLASSES.index('front passes right' if ride.sum() > 0 else 'front passes left')
    if np.abs(grow).max() > still:
        return CLASSES.index('approach' if grow.sum() > 0 else 'recede')
    if np.abs(turn).max() > still:
        if speed.max() <= still:
            return CLASSES.index('turn clockwise' if turn.sum() > 0 else 'turn anticlockwise')
        order = np.arange(len(turn))
        is_first = (order * np.abs(turn)).sum() / np.abs(turn).sum() < (order @ speed) / speed.sum()
        return CLASSES.index('turn, then move' if is_first else 'move, then turn')
    bend = move[:-1, 0] * move[1:, 1] - move[:-1, 1] * move[1:, 0]
    if np.abs(bend).max() > still:
        return CLASSES.index('orbit clockwise' if bend.sum() > 0 else 'orbit anticlockwise')
    if np.ptp(speed) > still:
        return CLASSES.index('speed up' if speed[-1] > speed[0] else 'slow down')
    x, y = move.sum(axis=0)
    if abs(x) > abs(y):
        return CLASSES.index('move right' if x > 0 else 'move left')
    return CLASSES.index('move down' if y > 0 else 'move up')


def draw_clip(
    label: int,
    split: str,
    num_frames: int,
    size: int,
    rng: np.random.Generator,
    thing: int | None = None,
) -> list[np.ndarray]:
    """Draw a clip of a class with the photographs of a split, or of a thing.

    Args:
        label: Index into ``CLASSES``.
        split: ``'train'``, ``'val'`` or ``'test'``.
        num_frames: Frames, at least 4.
        size: Height and width in pixels.
        rng: Draws everything.
        thing: Index into ``THINGS``, for both sprites; None for any two photographs of the split.

    Returns:
        ``num_frames`` frames, uint8 RGB (size, size, 3).

    Raises:
        ValueError: If there is no such class or split, or there are too few frames.
    """
    if split not in TEXTURES:
        raise ValueError(f'split must be one of {tuple(TEXTURES)}, got {split!r}')
    poses = draw_poses(label, num_frames, rng)
    outlines: tuple[str, ...] = OUTLINES
    if thing is None:
        names = rng.permutation(TEXTURES[split])
    else:
        photograph, outline = THINGS[thing]
        names, outlines = np.array([rng.choice(BACKGROUNDS), photograph, photograph]), (outline,)
    background = random_piece(rng, names[0], round(1.5 * size), contrast=0.35, brightness=60)
    camera = draw_camera(num_frames, rng)
    scale = SMALLEST * (LARGEST / SMALLEST) ** poses.size
    pictures = [
        (
            random_piece(rng, name, SPRITE_PIXELS, contrast=0.8, brightness=165),
            shape_alpha(str(rng.choice(outlines)), SPRITE_PIXELS, rng),
        )
        for name in names[1:3]
    ]
    # One copy on each side, so that what leaves the torus comes in again.
    shifts = [(x * PERIOD, y * PERIOD) for x in (-1, 0, 1) for y in (-1, 0, 1)]
    centred = (poses.positions() + PERIOD / 2) % PERIOD - PERIOD / 2
    frames = []
    for i in range(num_frames):
        now = slice(i, i + 1)
        order = (1, 0) if np.cos(poses.carousel[i]) > 0 else (0, 1)  # back to front
        sprites = [
            Sprite(
                *pictures[k],
                Track(
                    centred[k, now, 0] + x, centred[k, now, 1] + y, poses.angle[now, k], scale[now]
                ),
            )
            for k in order
            for x, y in shifts
            if _in_sight(camera, i, centred[k, i] + (x, y), scale[i])
        ]
        moment = Track(camera.x[now], camera.y[now], camera.angle[now], camera.scale[now])
        frames += render(background, moment, sprites, size, size)
    return frames


def draw_camera(num_frames: int, rng: np.random.Generator) -> Track:
    """A drift of the camera, slower than anything that makes a class."""
    times = np.linspace(-0.5, 0.5, num_frames)
    return Track.polynomial(
        times,
        x=(rng.normal(0, 0.1), rng.uniform(-0.1, 0.1)),
        y=(rng.normal(0, 0.1), rng.uniform(-0.1, 0.1)),
        angle=(rng.uniform(-0.2, 0.2), rng.uniform(-0.1, 0.1)),
        log_scale=(rng.uniform(-0.1, 0.1), rng.uniform(-0.06, 0.06)),
    )


def _in_sight(camera: Track, i: int, position: np.ndarray, scale: float) -> bool:
    """Whether a sprite can be seen in frame i: a circle around it meets one around the frame."""
    distance = np.hypot(position[0] - camera.x[i], position[1] - camera.y[i])
    return bool(distance < np.sqrt(0.5) * (1 / camera.scale[i] + scale))


def random_piece(
    rng: np.random.Generator, name: str, size: int, contrast: float, brightness: float
) -> np.ndarray:
    """A square of a photograph with changed colours, uint8 RGB (size, size, 3).

    Sprites are brighter than backgrounds: small models then learn something in minutes.
    """
    texture = load_texture(name)
    side = round(rng.uniform(0.35, 1.0) * min(texture.shape[:2]))
    top, left = (int(rng.integers(length - side + 1)) for length in texture.shape[:2])
    piece = texture[top : top + side, left : left + side]
    piece = np.rot90(piece, int(rng.integers(4)))[..., rng.permutation(3)]
    piece = cv2.resize(np.ascontiguousarray(piece), (size, size), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.3:
        piece = 255 - piece
    gain = contrast * rng.uniform(0.6, 1.2, 3)
    mean = brightness + rng.uniform(-30, 30, 3)
    return ((piece - piece.mean(axis=(0, 1))) * gain + mean).clip(0, 255).astype(np.uint8)
