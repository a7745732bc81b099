"""Reconstructions of videos: construct once, call with paths, folders or arrays."""

import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import TypedDict

import torch
from mmengine.config import Config
from torch import Tensor

from mmmae_st.apis.inputs import (
    InputClips,
    Inputs,
    Step,
    find_inputs,
    progress_bar,
    square_size,
    square_steps,
    to_cuda_if_any,
)
from mmmae_st.apis.load import load_autoencoder
from mmmae_st.apis.reconstruct import draw_mask, restore_clips
from mmmae_st.datasets.transforms import LoadClips, PackClips
from mmmae_st.fileio.atomic_file import write_whole
from mmmae_st.models import SpatiotemporalMAE
from mmmae_st.visualization import save_png
from mmmae_st.visualization.reconstruction import Restored, restored_figure, restored_frames
from mmmae_st.visualization.show import show_picture
from mmmae_st.visualization.video_files import save_gif, save_mp4

FORMATS = ('png', 'gif', 'mp4')


class Reconstruction(TypedDict):
    """What is made of one video.

    Attributes:
        name: See :class:`VideoInput`.
        path: Path of the video.
        results: One for each mask and ratio: pixels, errors, loss and PSNR; none for a video that
            cannot be read.
        error: Why it cannot be read, or None.
    """

    name: str
    path: str
    results: list[Restored]
    error: str | None


class ReconstructionInferencer:
    """What a pretrained model makes of masked clips, the central one of each file.

    Args:
        model: Checkpoint of pretraining (file or address), or a masked autoencoder.
        config: The config of the checkpoint, where the file does not hold it.
        device: Where to compute; by default the GPU if there is one.
        masks: Kinds of masks, of ``reconstruct.MASKS``.
        ratios: Mask ratios; every kind is drawn with every ratio.
        seed: Seed of the masks.
        statistics: For normalised targets, where mean and deviation of a predicted patch come
            from: ``'true'`` or ``'neighbours'``.
        paste: Show visible patches as they are instead of as decoded.
        frame_interval: Frames from one to the next, at 30 a second.
        show_progress: Show a bar (on a terminal only).

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If it holds no decoder or cannot be used, or a mask cannot be drawn.
    """

    def __init__(
        self,
        model: str | Path | SpatiotemporalMAE,
        config: Config | None = None,
        device: str | torch.device | None = None,
        masks: Sequence[str] = ('random',),
        ratios: Sequence[float] = (0.9,),
        seed: int = 0,
        statistics: str = 'true',
        paste: bool = True,
        frame_interval: int = 4,
        show_progress: bool = True,
    ) -> None:
        if not isinstance(model, SpatiotemporalMAE):
            model = load_autoencoder(model, config)
        self.model = model.to(to_cuda_if_any(device)).eval()
        num_frames, size = square_size(self.model.backbone)
        self.load = LoadClips(num_frames, frame_interval, sampling='uniform', unreadable='blank')
        self.steps: list[Step] = [*square_steps(size), PackClips()]
        for mask, ratio in product(masks, ratios):
            draw_mask(mask, self.model.backbone.grid, ratio, seed)  # refuses what cannot be drawn
        self.masks = masks
        self.ratios = ratios
        self.seed = seed
        self.statistics = statistics
        self.paste = paste
        self.show_progress = show_progress

    def __call__(
        self,
        inputs: Inputs,
        batch_size: int = 8,
        num_workers: int = 0,
        out_dir: str | Path | None = None,
        formats: Sequence[str] = ('png',),
        fps: int = 6,
        show: bool = False,
    ) -> list[Reconstruction]:
        """Reconstruct the videos, in the order given; each has the same masks.

        A video that cannot be read ends nothing: it has no results and an ``error``.

        Args:
            inputs: A path, a folder, frames (T, H, W, 3) uint8 RGB as array or tensor, or a list.
            batch_size: Videos at a time; one with each mask and ratio after the other.
            num_workers: Processes that decode; 0 for this one.
            out_dir: Folder for pictures ``<name>.png`` and so on, and the error of each patch in
                ``<name>.json``; none by default.
            formats: Of the pictures: ``'png'``, ``'gif'``, ``'mp4'``.
            fps: Frames per second of GIF and MP4.
            show: Show each picture, in a notebook below the cell.

        Raises:
            FileNotFoundError: If the only path does not exist.
            ValueError: If the inputs are of another kind, or a mask or format is unknown.
        """
        unknown = [kind for kind in formats if kind not in FORMATS]
        if unknown:
            raise ValueError(f'formats must be of {FORMATS}, got {unknown[0]!r}')
        videos = find_inputs(inputs)
        chosen = InputClips(videos, self.load, self.steps)
        found: list[Reconstruction] = []
        with progress_bar('reconstructions', 'video', len(videos), self.show_progress) as bar:
            for batch in chosen.batches(batch_size, num_workers):
                restored = self._restore(batch['inputs'])
                for results, sample in zip(restored, batch['data_samples'], strict=True):
                    video = videos[len(found)]
                    failure = sample.failures[0][1] if sample.failures else None
                    results = results if failure is None else []
                    if results and out_dir is not None:
                        write_results(results, Path(out_dir, video.name), formats, fps)
                    if results and show:
                        show_picture(restored_figure(results))
                    found.append(
                        Reconstruction(
                            name=video.name, path=video.path, results=results, error=failure
                        )
                    )
                    bar.update()
        return found

    def _restore(self, clips: list[Tensor]) -> list[list[Restored]]:
        """The results of each clip, one for each mask and ratio."""
        by_mask = [
            restore_clips(self.model, clips, mask, ratio, self.seed, self.statistics, self.paste)
            for mask in self.masks
            for ratio in self.ratios
        ]
        return [list(results) for results in zip(*by_mask, strict=True)]


def write_results(results: list[Restored], stem: Path, formats: Sequence[str], fps: int) -> None:
    """Write the pictures of one clip, and its errors as JSON; visible patches are null there."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    path = {kind: stem.with_name(f'{stem.name}.{kind}') for kind in (*FORMATS, 'json')}
    if 'png' in formats:
        save_png(restored_figure(results), path['png'])
    if 'gif' in formats:
        save_gif(path['gif'], restored_frames(results), fps)
    if 'mp4' in formats:
        save_mp4(path['mp4'], restored_frames(results), fps)
    report = [
        dict(
            mask=result.label,
            loss=result.loss,
            psnr=result.psnr,
            patch_errors=[
                [[None if error != error else round(float(error), 5) for error in row] for row in s]
                for s in result.error
            ],
        )
        for result in results
    ]
    write_whole(path['json'], json.dumps(report))
