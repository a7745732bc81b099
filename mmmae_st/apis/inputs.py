"""What people give to the inferencers: paths, folders, arrays, and lists of these.

Dimensions: N clips, R views of a video, T H W frames and pixels.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from mmmae_st.analysis.cost import clip_size
from mmmae_st.datasets.annotations import scan_folder
from mmmae_st.datasets.sample_key import view_rng
from mmmae_st.datasets.transforms import ClipCenterCrop, ClipResize, LoadClips
from mmmae_st.datasets.transforms.frame_sampling import segment_frames
from mmmae_st.models import SpacetimeViT

Item: TypeAlias = str | Path | np.ndarray | Tensor
Inputs: TypeAlias = Item | Iterable[Item]
Step: TypeAlias = Callable[[dict], dict | None]


@dataclass(frozen=True)
class VideoInput:
    """One video, by its path or as frames.

    Attributes:
        name: What files that are made of it are called, without a suffix; with the sub-folder for
            a video of a folder.
        path: The path, or ``name`` for frames.
        frames: (T, H, W, 3) uint8 RGB; None for a path.
    """

    name: str
    path: str
    frames: np.ndarray | None = None


def find_inputs(inputs: Inputs) -> list[VideoInput]:
    """The videos that are meant; each has a name of its own.

    Of a list, a file that is not there is one of the videos that cannot be read.

    Args:
        inputs: Path of a video, folder of videos (sub-folders included), frames (T, H, W, 3) or
            (N, T, H, W, 3) uint8 RGB as array or tensor, or a list, tuple or iterator of these.

    Raises:
        FileNotFoundError: If the only path does not exist.
        ValueError: If there is none, or an array is no uint8 RGB video; says its shape and dtype.
    """
    if isinstance(inputs, (str, Path)) and '://' not in str(inputs) and not os.path.exists(inputs):
        raise FileNotFoundError(f'video {inputs} does not exist')
    found: list[VideoInput] = []
    for item in inputs if isinstance(inputs, (list, tuple, Iterator)) else [inputs]:
        if isinstance(item, (str, Path)):
            found += _of_path(str(item))
        else:
            found += [VideoInput(f'clip{i}', f'clip{i}', x) for i, x in enumerate(_frames(item))]
    if not found:
        raise ValueError('inputs must hold at least one video, got an empty list')
    return [
        VideoInput(name, video.path, video.frames)
        for name, video in zip(unique_names(v.name for v in found), found, strict=True)
    ]


def unique_names(names: Iterable[str]) -> list[str]:
    """The same names, numbered where several are the same: a, b, a_2."""
    given: dict[str, None] = {}
    for name in names:
        unique, number = name, 1
        while unique in given:
            number += 1
            unique = f'{name}_{number}'
        given[unique] = None
    return list(given)


def _of_path(path: str) -> list[VideoInput]:
    if os.path.isdir(path):
        below = [record['path'] for record in scan_folder(path)]
        return [VideoInput(os.path.splitext(name)[0], os.path.join(path, name)) for name in below]
    return [VideoInput(Path(path).stem, path)]


def _frames(array: object) -> Iterable[np.ndarray]:
    """Clips (T, H, W, 3) of an array or tensor of one or several."""
    if isinstance(array, Tensor):
        array = array.detach().cpu().numpy()
    if not isinstance(array, np.ndarray):
        raise ValueError(
            f'inputs must be paths or arrays (T, H, W, 3), got a {type(array).__name__}'
        )
    is_video = array.ndim in (4, 5) and array.shape[-1] == 3 and array.dtype == np.uint8
    if not is_video or not array.size:
        raise ValueError(
            'frames must be uint8 RGB (T, H, W, 3) or (N, T, H, W, 3), '
            f'got {array.dtype} {array.shape}'
        )
    return array if array.ndim == 5 else array[None]


def square_size(encoder: SpacetimeViT) -> tuple[int, int]:
    """Frames, and height and width, of the clips that an encoder is made for.

    Raises:
        ValueError: If they are no squares.
    """
    num_frames, height, width = clip_size(encoder)
    if height != width:
        raise ValueError(f'the model takes clips of {height} x {width}; only squares are cut here')
    return num_frames, height


def square_steps(size: int) -> list[Step]:
    """Transforms that cut the central square out of frames, ``size`` pixels high and wide."""
    return [ClipResize(short_side=size), ClipCenterCrop(size)]


class InputClips(Dataset):
    """Clips of the videos: R of each file, spread over it; frames given as such are one clip.

    Of frames that are not as many as a clip has, the central ones of as many equal segments are
    taken. A file that cannot be read gives black clips and a note under ``failures``.

    Args:
        videos: The videos.
        load: How files are read, with ``unreadable='blank'``.
        steps: What follows, from ``clips`` on.
    """

    def __init__(
        self,
        videos: Sequence[VideoInput],
        load: LoadClips,
        steps: Sequence[Step],
    ) -> None:
        self.videos = videos
        self.load = load
        self.steps = Compose(list(steps))

    def __len__(self) -> int:
        return len(self.videos)

    def batches(self, batch_size: int, num_workers: int) -> DataLoader:
        """Batches, collated to lists, in the order of the videos."""
        return DataLoader(self, batch_size, num_workers=num_workers, collate_fn=pseudo_collate)

    def __getitem__(self, index: int) -> dict:
        """What the steps make of a video."""
        video = self.videos[index]
        results: dict[str, Any] = dict(path=video.path, sample_key=(0, 0, index), failures=[])
        if video.frames is None:
            results = self.load.transform(results)
        else:
            frame_inds = segment_frames(len(video.frames), self.load.clip_len, None)
            results['clips'] = [list(video.frames[frame_inds])]
            results['frame_inds'] = frame_inds[None]
            results['rngs'] = [view_rng(results['sample_key'], 0)]
        return self.steps(results)


def middle_clip(clips: Tensor) -> np.ndarray:
    """The middle one of clips (R, C, T, H, W), as (T, H, W, C)."""
    return clips[len(clips) // 2].permute(1, 2, 3, 0).cpu().numpy()


def to_cuda_if_any(device: str | torch.device | None) -> torch.device:
    """The device asked for; without one the GPU if there is any, else the CPU.

    Raises:
        ValueError: If there is no such device here.
    """
    number = torch.cuda.device_count() if torch.cuda.is_available() else 0
    try:
        chosen = torch.device(device or ('cuda' if number else 'cpu'))
    except RuntimeError as error:  # names thirty kinds, most of them not in this build
        raise ValueError(f"device must be 'cpu', 'cuda' or 'cuda:0', got {device!r}") from error
    if chosen.type == 'cuda' and (chosen.index or 0) >= number:
        raise ValueError(
            f"device {device!r}: PyTorch sees {number} GPUs here; 'cpu' works anywhere"
        )
    return chosen


def progress_bar(name: str, unit: str, total: int | None, is_shown: bool) -> tqdm:
    """A bar, on a terminal only."""
    return tqdm(desc=name, unit=unit, total=total, disable=None if is_shown else True)
