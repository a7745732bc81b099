"""Features all along long videos: construct once, call with paths, folders or arrays."""

import copy
import os
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from mmengine.config import Config
from tqdm import tqdm

from mmmae_st.apis.feature_folder import FeatureFolder
from mmmae_st.apis.feature_inferencer import ClipEncoder, EncoderSource
from mmmae_st.apis.inputs import Inputs, VideoInput, find_inputs, progress_bar, to_cuda_if_any
from mmmae_st.apis.window_features import FeaturesOfWindows, WindowSettings
from mmmae_st.datasets import VideoReadError
from mmmae_st.datasets.parallel import run_parallel
from mmmae_st.precision import Amp

OUTPUTS = ('pooled', 'spatial')


class LongFeatures(TypedDict):
    """What is found for one video of N windows.

    Attributes:
        name: See :class:`VideoInput`.
        path: Path of the video.
        features: (N, D), or (N, h, w, D) for ``'spatial'``; None if they are in a file.
        seconds: (N, 2) float64, where each window begins and ends; None if they are in a file.
        file: The file, or None.
        error: Why the video could not be read, or not to its end; None if it could.
    """

    name: str
    path: str
    features: np.ndarray | None
    seconds: np.ndarray | None
    file: Path | None
    error: str | None


class LongFeatureInferencer:
    """One feature for each of many overlapping windows all along a video, for localisation.

    A window is one clip of the encoder (16 frames, every fourth at 30 a second: 2.1 seconds).
    A video of any length is decoded once, in order; in memory are one batch and the frames of the
    windows that overlap.

    Args:
        model: Checkpoint with an encoder (file or address), a masked autoencoder, or what
            ``load_encoder`` gives.
        config: The config of the checkpoint, where the file does not hold it.
        device: Where to compute; by default the GPU if there is one.
        output: ``'pooled'`` or ``'spatial'``, see :class:`ClipEncoder`.
        layer: Number of the block, the last by default.
        stride: Frames from one window to the next, at 30 a second.
        frame_interval: Frames from one to the next within a window, at 30 a second.
        amp: bfloat16 autocast where the hardware has it; ``'force'`` everywhere.
        show_progress: Show a bar (on a terminal only).

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If it cannot be used, or an argument is out of range.
    """

    def __init__(
        self,
        model: EncoderSource,
        config: Config | None = None,
        device: str | torch.device | None = None,
        output: str = 'pooled',
        layer: int = -1,
        stride: float = 16,
        frame_interval: int = 4,
        amp: Amp = False,
        show_progress: bool = True,
    ) -> None:
        if output not in OUTPUTS:
            raise ValueError(f'output must be one of {OUTPUTS}, got {output!r}')
        self.device = to_cuda_if_any(device)
        self.encoder = ClipEncoder(model, config, output, layer, amp).to(self.device)
        self.stride = stride
        self.frame_interval = frame_interval
        self.show_progress = show_progress

    def __call__(
        self,
        inputs: Inputs,
        batch_size: int = 8,
        out_dir: str | Path | None = None,
        suffix: str = '.npy',
        dtype: str = 'float16',
        num_processes: int = 1,
    ) -> list[LongFeatures]:
        """Features of videos, in the order given; a folder's are sorted by name.

        A file that breaks off keeps what was read, with an ``error``; one that cannot be read at
        all has none.

        Args:
            inputs: A path, a folder, frames (T, H, W, 3) uint8 RGB at 30 a second as array or
                tensor, or a list.
            batch_size: Windows at a time.
            out_dir: Folder for a file of each video, written when it is whole; videos that have
                one are left out, so that an interrupted run is taken up. None to return them.
            suffix: ``'.npy'``, the matrix as ActionFormer and OpenTAD read it, or ``'.npz'`` with
                ``feats``, ``seconds`` and ``fps``.
            dtype: ``'float16'`` or ``'float32'``.
            num_processes: Processes that take a video each (needs ``out_dir``).

        Raises:
            FileNotFoundError: If the only path does not exist.
            ValueError: If the inputs are of another kind, an argument is unknown, or the folder
                holds features of other settings.
        """
        settings = WindowSettings(self.stride, self.frame_interval, batch_size)
        if num_processes < 1:
            raise ValueError(f'num_processes must be at least 1, got {num_processes}')
        if num_processes > 1 and out_dir is None:
            raise ValueError('num_processes > 1 needs out_dir, where the processes write')
        folder = FeatureFolder(out_dir or '.', suffix, dtype)
        videos = find_inputs(inputs)
        if out_dir is None:
            return [self._in_memory(video, settings, dtype) for video in videos]
        folder.require_same(self.encoder, settings)
        missing = [video for video in videos if not folder.file(video).exists()]
        if num_processes > 1:
            failed = self._in_processes(missing, folder, settings, num_processes)
        else:
            failed = self._one_by_one(missing, folder, settings)
        return [_written(video, folder, failed.get(video.name)) for video in videos]

    def _in_memory(self, video: VideoInput, settings: WindowSettings, dtype: str) -> LongFeatures:
        found = LongFeatures(
            name=video.name, path=video.path, features=None, seconds=None, file=None, error=None
        )
        try:
            source = FeaturesOfWindows(self.encoder, video, settings)
        except VideoReadError as error:
            found['error'] = str(error)
            return found
        with self._bar(video.name) as bar:
            bar.total = len(source.windows.seconds)
            batches = []
            for batch in source:
                batches.append(batch.astype(dtype))
                bar.update(len(batch))
        found['error'] = source.error
        if batches:
            features = np.concatenate(batches)
            found['features'] = features
            found['seconds'] = source.windows.seconds[: len(features)]
        return found

    def _one_by_one(
        self, videos: list[VideoInput], folder: FeatureFolder, settings: WindowSettings
    ) -> dict[str, str]:
        failed = {}
        for number, video in enumerate(videos, 1):
            with self._bar(f'{video.name} ({number} of {len(videos)})') as bar:
                try:
                    folder.write(self.encoder, video, settings, bar.update)
                except VideoReadError as error:
                    failed[video.name] = str(error)
        return failed

    def _in_processes(
        self,
        videos: list[VideoInput],
        folder: FeatureFolder,
        settings: WindowSettings,
        num_processes: int,
    ) -> dict[str, str]:
        threads = max((os.cpu_count() or 1) // num_processes, 1)
        encoder = copy.deepcopy(self.encoder).cpu()
        outcomes = run_parallel(
            _write_in_worker,
            videos,
            num_processes,
            timeout=None,
            initializer=_start_worker,
            initargs=(encoder, self.device, folder, settings, threads),
            context=get_context('spawn'),
        )
        return {outcome.task.name: outcome.error for outcome in outcomes if outcome.error}

    def _bar(self, name: str) -> tqdm:
        return progress_bar(name, 'window', None, self.show_progress)


_worker: dict[str, Any] = {}


def _start_worker(
    encoder: ClipEncoder,
    device: torch.device,
    folder: FeatureFolder,
    settings: WindowSettings,
    threads: int,
) -> None:
    torch.set_num_threads(threads)
    _worker.update(encoder=encoder.to(device), folder=folder, settings=settings)


def _write_in_worker(video: VideoInput) -> None:
    _worker['folder'].write(_worker['encoder'], video, _worker['settings'])


def _written(video: VideoInput, folder: FeatureFolder, failure: str | None) -> LongFeatures:
    file = None if failure else folder.file(video)
    return LongFeatures(
        name=video.name,
        path=video.path,
        features=None,
        seconds=None,
        file=file,
        error=failure or folder.note(video)['error'],
    )
