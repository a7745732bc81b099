"""Values of tokens drawn over the clip they belong to.

Dimensions: T H W frames and pixels, t h w the token grid.
"""

import cv2
import matplotlib
import numpy as np

from mmmae_st.visualization.sheet import TILE, fit_tile, pick_frames, sheet

MARK = (255, 0, 220)
FEATURES = 'features\n3 main directions'


def heat_over(clip_THWC: np.ndarray, values_thw: np.ndarray, low: float, high: float) -> np.ndarray:
    """A clip in grey with values laid over it in colour, uint8 (t, H, W, 3): one frame a slice.

    Args:
        clip_THWC: Clip (T, H, W, 3) uint8.
        values_thw: A value of each patch.
        low: Value that is drawn darkest.
        high: Value that is drawn brightest.
    """
    frames = _slices(clip_THWC, len(values_thw))
    share = np.clip((values_thw - low) / max(high - low, 1e-12), 0, 1)
    size = clip_THWC.shape[2], clip_THWC.shape[1]
    pictures = []
    for frame, values in zip(frames, share, strict=True):
        smooth = cv2.resize(values.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        heat = matplotlib.colormaps['inferno'](smooth)[..., :3] * 255
        grey = frame.mean(axis=-1, keepdims=True)
        pictures.append((0.35 * grey + 0.65 * heat).round().astype(np.uint8))
    return np.stack(pictures)


def token_maps_figure(
    clip_THWC: np.ndarray,
    similarity_thw: np.ndarray,
    position: tuple[int, int, int],
    colours_thw3: np.ndarray,
    attention_thw: np.ndarray | None = None,
    max_frames: int = 8,
    tile: int = TILE,
) -> np.ndarray:
    """A clip, and below it what its tokens tell: columns are time slices.

    Args:
        clip_THWC: Clip (T, H, W, 3) uint8.
        similarity_thw: Cosine similarity of each patch to the one at ``position``.
        position: Patch (t, h, w) that is marked.
        colours_thw3: Main directions of the features as colours in [0, 1].
        attention_thw: Attention of the class token, where there is one.
        max_frames: Columns at most; more slices are shown at equal distances.
        tile: Height of a frame in pixels, see ``fit_tile``.

    Returns:
        uint8 RGB picture (H, W, 3).
    """
    t, h, w = similarity_thw.shape
    columns = pick_frames(t, max_frames)
    frames = _slices(clip_THWC, t).copy()
    _mark(frames[position[0]], position[1:], (h, w))
    rows = {
        'input': frames,
        FEATURES: _patches(colours_thw3, clip_THWC.shape[1]),
        f'similarity\n0 to 1, slice {position[0] + 1}': heat_over(clip_THWC, similarity_thw, 0, 1),
    }
    if attention_thw is not None:
        high = float(np.quantile(attention_thw, 0.995))
        uniform = attention_thw.size * high
        label = f'class attention\n0 to {uniform:.1f} x even'
        rows[label] = heat_over(clip_THWC, attention_thw, 0, high)
    note = (
        'Columns are time slices. Similarity: cosine of the features of each patch to those of '
        'the marked one, the mean of the clip taken off.'
    )
    return sheet(
        [[fit_tile(row[i], tile) for i in columns] for row in rows.values()], list(rows), note=note
    )


def feature_map_figure(
    clip_THWC: np.ndarray, colours_thw3: np.ndarray, max_frames: int = 8, tile: int = TILE
) -> np.ndarray:
    """A clip, and below it the main directions of its features as colours.

    Args:
        clip_THWC: Clip (T, H, W, 3) uint8.
        colours_thw3: Main directions of the features as colours in [0, 1]; one map (1, h, w, 3)
            where they are means over time.
        max_frames: Columns at most; more frames or slices are shown at equal distances.
        tile: Height of a frame in pixels, see ``fit_tile``.

    Returns:
        uint8 RGB picture (H, W, 3).
    """
    over_time = len(colours_thw3) == 1
    frames = clip_THWC if over_time else _slices(clip_THWC, len(colours_thw3))
    columns = pick_frames(len(frames), max_frames)
    patches = _patches(colours_thw3, clip_THWC.shape[1])
    return sheet(
        [
            [fit_tile(frames[i], tile) for i in columns],
            [fit_tile(patches[i], tile) for i in ([0] if over_time else columns)],
        ],
        ['input', FEATURES],
        note='Patches of like features have like colours, within this picture only.'
        + (' One map: features are means over time.' if over_time else ''),
    )


def _patches(colours_thw3: np.ndarray, height: int) -> np.ndarray:
    """Colours of patches as pictures (t, height, W, 3) uint8."""
    size = height // colours_thw3.shape[1]
    pictures = (colours_thw3 * 255).round().astype(np.uint8)
    return pictures.repeat(size, axis=1).repeat(size, axis=2)


def _slices(clip_THWC: np.ndarray, count: int) -> np.ndarray:
    return clip_THWC[:: len(clip_THWC) // count][:count]


def _mark(frame: np.ndarray, place: tuple[int, int], grid: tuple[int, int]) -> None:
    """Draw a frame around a patch, in place."""
    height, width = frame.shape[0] // grid[0], frame.shape[1] // grid[1]
    top, left = place[0] * height, place[1] * width
    corner = left + width - 1, top + height - 1
    cv2.rectangle(frame, (left, top), corner, MARK, max(frame.shape[0] // 80, 1))
