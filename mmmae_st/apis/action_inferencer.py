"""Actions in videos: construct once, call with paths, folders or arrays. Needs mmaction2."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import Tensor

from mmmae_st.apis.inputs import (
    InputClips,
    Inputs,
    find_inputs,
    middle_clip,
    progress_bar,
    to_cuda_if_any,
)
from mmmae_st.apis.models import build_model, config_of, load_weights
from mmmae_st.datasets.transforms import LoadClips
from mmmae_st.models.weights import parse_config, read_checkpoint
from mmmae_st.registry import TRANSFORMS
from mmmae_st.visualization import save_png
from mmmae_st.visualization.actions import action_figure
from mmmae_st.visualization.show import show_picture


class Actions(TypedDict):
    """What is found for one video.

    Attributes:
        name: See :class:`VideoInput`.
        path: Path of the video.
        scores: Probabilities (classes,) float32; NaN for a video that cannot be read.
        best: Names of the most probable classes and their probabilities, the best first.
        picture: uint8 RGB (H, W, 3) with ``return_vis``, else None.
        error: Why it cannot be read, or None.
    """

    name: str
    path: str
    scores: np.ndarray
    best: list[tuple[str, float]]
    picture: np.ndarray | None
    error: str | None


class ActionInferencer:
    """Names the actions in videos by a fine-tuned recogniser and the test pipeline of its config.

    Args:
        checkpoint: Checkpoint of the recogniser (file or address).
        config: Its config: a file, a name of ``list_models('finetune/*')`` or a ``Config``; by
            default the one that the training run wrote into the checkpoint.
        labels: Names of the classes in their order, or a text file with one a line.
        device: Where to compute; by default the GPU if there is one.
        top: Number of classes that are named.
        show_progress: Show a bar (on a terminal only).

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If mmaction2 is not installed, the checkpoint holds no config or does not fit
            it, or there are not as many labels as classes.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        config: str | Path | Config | None = None,
        labels: str | Path | Sequence[str] | None = None,
        device: str | torch.device | None = None,
        top: int = 5,
        show_progress: bool = True,
    ) -> None:
        try:
            import_module('mmmae_st.compat.mmaction')
        except RuntimeError as error:  # mmaction2 is not installed
            raise ValueError(str(error)) from error
        if config is None:
            cfg = _written_config(checkpoint)
        else:
            cfg = config if isinstance(config, Config) else config_of(config)
        model = build_model(cfg)
        load_weights(model, checkpoint)
        self.model: BaseModel = model.to(to_cuda_if_any(device)).eval()
        if isinstance(labels, (str, Path)):
            labels = Path(labels).read_text(encoding='utf-8').splitlines()
        self.labels = labels
        self.top = top
        self.show_progress = show_progress
        load, *self.steps = (
            TRANSFORMS.build(dict(step, _scope_='mmmae_st'))
            for step in cfg.test_dataloader.dataset.pipeline
        )
        if not isinstance(load, LoadClips):
            raise ValueError(
                f'the test pipeline must begin with LoadClips, got {type(load).__name__}'
            )
        load.unreadable = 'blank'
        self.load = load

    def __call__(
        self,
        inputs: Inputs,
        batch_size: int = 1,
        num_workers: int = 0,
        out_dir: str | Path | None = None,
        show: bool = False,
        return_vis: bool = False,
    ) -> list[Actions]:
        """Actions of the videos, in the order given.

        A video that cannot be read ends nothing: it has NaN and an ``error``.

        Args:
            inputs: A path, a folder, frames (T, H, W, 3) uint8 RGB as array or tensor, or a list.
            batch_size: Videos at a time; each has as many clips as the test pipeline takes.
            num_workers: Processes that decode; 0 for this one.
            out_dir: Folder for a picture ``<name>.png`` of each video; none by default.
            show: Show each picture, in a notebook below the cell.
            return_vis: Return the pictures.

        Raises:
            FileNotFoundError: If the only path does not exist.
            ValueError: If the inputs are of another kind.
        """
        videos = find_inputs(inputs)
        chosen = InputClips(videos, self.load, self.steps)
        found: list[Actions] = []
        with progress_bar('actions', 'video', len(videos), self.show_progress) as bar:
            for batch in chosen.batches(batch_size, num_workers):
                with torch.inference_mode():
                    predicted = self.model.test_step(batch)
                for sample, clips in zip(predicted, batch['inputs'], strict=True):
                    video = videos[len(found)]
                    failure = sample.failures[0][1] if sample.failures else None
                    scores = sample.pred_score.float().cpu()
                    found.append(
                        Actions(
                            name=video.name,
                            path=video.path,
                            scores=scores.numpy() if failure is None else scores.numpy() * np.nan,
                            best=[] if failure else best_classes(scores, self.labels, self.top),
                            picture=None,
                            error=failure,
                        )
                    )
                    if failure is None and (show or return_vis or out_dir is not None):
                        picture = action_figure(middle_clip(clips), found[-1]['best'])
                        if return_vis:
                            found[-1]['picture'] = picture
                        if show:
                            show_picture(picture)
                        if out_dir is not None:
                            save_png(picture, Path(out_dir, f'{video.name}.png'))
                    bar.update()
        return found


def best_classes(scores: Tensor, names: Sequence[str] | None, top: int) -> list[tuple[str, float]]:
    """The ``top`` most probable classes with their probabilities, the best first.

    Raises:
        ValueError: If there are not as many names as classes.
    """
    if names is not None and len(names) != len(scores):
        raise ValueError(f'the labels file has {len(names)} names, the model {len(scores)} classes')
    values, classes = scores.topk(min(top, len(scores)))
    return [
        (names[c] if names else f'class {c}', p)
        for c, p in zip(classes.tolist(), values.tolist(), strict=True)
    ]


def _written_config(checkpoint: str | Path) -> Config:
    """The config that the training run wrote into a checkpoint."""
    text = read_checkpoint(checkpoint).config_text
    if not text:
        raise ValueError(f'{checkpoint} holds no config: config must name the one of its training')
    return parse_config(text)
