"""Samples of a dataset as contact sheets: what the model gets."""

from typing import Any

import cv2
import numpy as np

from mmmae_st.uncut_clips import UncutClips
from mmmae_st.visualization.masks import hide_patches
from mmmae_st.visualization.sheet import TILE, fit_tile, pick_frames, sheet

BOX_COLOUR = (255, 210, 0)


def sample_figure(
    sample: dict[str, Any] | list[dict[str, Any]], max_frames: int = 8, tile: int = TILE
) -> np.ndarray:
    """Draw a packed sample: a row for each view, and below it what the mask leaves visible.

    Args:
        sample: What the dataset gives: a dict with ``inputs`` (R, C, T, H, W) or (C, T, H, W)
            uint8 and ``data_samples``, for pretraining also ``ids_keep`` (R, K); or a list of
            such dicts, one for each view of the video.
        max_frames: Columns at most; longer clips show frames at equal distances.
        tile: Height of a frame in pixels, see ``fit_tile``.

    Returns:
        uint8 RGB picture (H, W, 3).
    """
    packed = sample if isinstance(sample, list) else [sample]
    rows: list[list[np.ndarray]] = []
    labels: list[str] = []
    breaks: list[int] = []
    for part in packed:
        inputs = part['inputs']
        clips = (inputs.cut() if isinstance(inputs, UncutClips) else inputs).numpy()
        clips = clips if clips.ndim == 5 else clips[None]
        for index, clip_CTHW in enumerate(clips):
            clip = clip_CTHW.transpose(1, 2, 3, 0)
            columns = pick_frames(len(clip), max_frames)
            if rows:
                breaks.append(len(rows))
            inds = part['data_samples'].get('frame_inds')
            rows.append([fit_tile(_with_boxes(clip[i], part), tile) for i in columns])
            labels.append(f'view {len(breaks) + 1}' + _span(inds, index))
            if 'ids_keep' in part:
                grid = tuple(part['data_samples'].grid)
                ids = part['ids_keep'][index].numpy()
                hidden = hide_patches(clip, ids, grid)
                rows.append([fit_tile(hidden[i], tile) for i in columns])
                labels.append(f'visible\n{len(ids)} of {np.prod(grid)}')
    return sheet(rows, labels, title=_title(packed[0]), note=_note(packed[0]), breaks=breaks)


def _with_boxes(frame: np.ndarray, part: dict[str, Any]) -> np.ndarray:
    """The frame with the annotated boxes of detection, which are in pixels."""
    truth = part['data_samples'].get('gt_instances')
    if truth is None or 'bboxes' not in truth:
        return frame
    frame = np.ascontiguousarray(frame)
    for left, top, right, bottom in truth.bboxes.round().int().tolist():
        cv2.rectangle(frame, (left, top), (right, bottom), BOX_COLOUR, 2)
    return frame


def _span(frame_inds: np.ndarray | None, view: int) -> str:
    """Source frames of a view; mmaction2's samples keep them flat, and then none are told."""
    if frame_inds is None or np.ndim(frame_inds) != 2:
        return ''
    first, last = frame_inds[view][[0, -1]]
    return f'\nframes {first} to {last}'


def _title(part: dict[str, Any]) -> str:
    sample = part['data_samples']
    path = str(sample.get('path') or sample.get('filename') or sample.get('frame_dir') or '')
    folders = path.rsplit('/', 2)
    title = '/'.join(folders[-2:])
    label = sample.get('label')
    return title if label is None else f'{title}   label {label}'


def _note(part: dict[str, Any]) -> str:
    failures = part['data_samples'].get('failures') or []
    lines = [f'Replaced, being unreadable: {path} ({cause})' for path, cause in failures]
    height, width = part['inputs'].shape[-2:]
    lines.insert(0, f'{part["inputs"].shape[-3]} frames of {height} x {width} pixels.')
    return '\n'.join(lines)
