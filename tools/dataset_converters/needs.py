"""What a config asks of videos: size, frames a second, length of a clip."""

import argparse
import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mmengine.config import Config

from mmmae_st.command_line import load_config
from mmmae_st.datasets.transforms import LoadClips
from mmmae_st.engine.runner.launch import LOADERS

# What is left for a random crop: 256 pixels for one of 224, as videos of Kinetics are kept.
CROP_MARGIN = 8 / 7
LEAST_SHARE = 0.95


class Needs(NamedTuple):
    """Of all pipelines of a config.

    Attributes:
        short_side (int): Pixels.
        fps (float | None): Frames a second; None for all, where clips take a number of segments.
        clip_seconds (float): The longest clip; 0 where clips take segments.
        pipeline (list): That of training.
    """

    short_side: int
    fps: float | None
    clip_seconds: float
    pipeline: list


def needs_of_config(path: str) -> Needs:
    """Read the pipelines of training, validation and test.

    Raises:
        ValueError: They do not read videos with ``LoadClips``.
    """
    cfg = load_config(path, import_modules=False)
    sides: list[int] = []
    rates: list[float] = []
    seconds = [0.0]
    datasets = [(cfg.get(loader) or {}).get('dataset') for loader in LOADERS]
    pipelines = [pipeline for dataset in datasets for pipeline in _pipelines(dataset)]
    for step in (step for pipeline in pipelines for step in pipeline):
        kind = getattr(step['type'], '__name__', step['type']).rpartition('.')[2]
        if kind == 'LoadClips':
            arguments = {key: step[key] for key in step if key not in ('type', '_scope_')}
            load = LoadClips(**arguments)
            rates.append(load.asked_fps)
            seconds.append(load.clip_len / load.asked_fps)
        elif kind == 'ClipRandomResizedCrop':
            sides.append(16 * math.ceil(step['size'] * CROP_MARGIN / 16))
        elif kind == 'ClipResize':
            sides.append(step['short_side'])
    if not rates or not sides:
        raise ValueError(
            f'{path} does not read clips by LoadClips and crop them by ClipRandomResizedCrop or '
            'ClipResize: give --short-side and --fps'
        )
    fps = None if math.inf in rates else max(rates)
    return Needs(2 * math.ceil(max(sides) / 2), fps, max(seconds), pipelines[0])


def _pipelines(dataset: Config | None) -> Iterator[list]:
    """Those of a data set, and of those that it wraps."""
    if not dataset:
        return
    if dataset.get('pipeline'):
        yield dataset.pipeline
    yield from _pipelines(dataset.get('dataset'))
    for other in dataset.get('datasets', ()):
        yield from _pipelines(other)


def add_needs_argument(parser: argparse.ArgumentParser) -> None:
    """The argument ``--for``."""
    parser.add_argument('--for', dest='config', help='config whose clips are to be read from them')


def what_repeats(needs: Needs | None, videos: Iterable[tuple[int, float]]) -> list[str]:
    """Lines that count the videos whose clips repeat frames.

    Args:
        needs: None gives no lines.
        videos: Frames, and frames a second, of each.
    """
    if needs is None:
        return []
    short = slow = 0
    for frames, rate in videos:
        short += bool(rate) and frames / rate < LEAST_SHARE * needs.clip_seconds
        slow += needs.fps is not None and 0 < rate < LEAST_SHARE * needs.fps
    lines = []
    if short:
        lines.append(
            f'{short} videos are shorter than a clip of {needs.clip_seconds:.3g} seconds: their '
            'clips repeat the last frame'
        )
    if slow:
        lines.append(
            f'{slow} videos hold fewer than the {needs.fps:g} frames/s that are asked for: their '
            'clips repeat frames'
        )
    return lines
