"""Measures without labels over the checkpoints of a run."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from mmengine.config import Config

from mmmae_st.apis.inputs import to_cuda_if_any
from mmmae_st.apis.load import HOW_TO, load_autoencoder
from mmmae_st.evaluation.held_out import VideoClips, held_out_config, pick, read_clips
from mmmae_st.evaluation.monitoring import measures_of, outputs_of
from mmmae_st.models.weights import parse_config, read_checkpoint
from mmmae_st.precision import Amp, use_bfloat16
from mmmae_st.registry import DATASETS

NUMBERED = re.compile(r'(epoch|iter)_(\d+)\.pth')


def checkpoints_of(run: str | Path) -> list[Path]:
    """Checkpoints of a work directory, oldest first: those of epochs, or else of iterations.

    Raises:
        FileNotFoundError: If there is none.
    """
    found = [(match, path) for path in Path(run).glob('*.pth') if (match := _number(path))]
    kinds = {match[1] for match, _ in found}
    if not kinds:
        raise FileNotFoundError(f'{run} must hold checkpoints epoch_N.pth or iter_N.pth')
    kind = 'epoch' if 'epoch' in kinds else 'iter'
    chosen = [(int(match[2]), path) for match, path in found if match[1] == kind]
    return [path for _, path in sorted(chosen)]


def training_config(checkpoint: str | Path) -> Config:
    """The config that a run wrote into its checkpoint.

    Raises:
        ValueError: If there is none with a training set.
    """
    text = read_checkpoint(checkpoint).config_text
    cfg = parse_config(text) if text else Config()
    if 'train_dataloader' not in cfg:
        raise ValueError(f'{checkpoint} must say what it was trained on, or {HOW_TO}')
    return cfg


def monitored_clips(
    cfg: Config, num_videos: int, num_clips: int, arguments: dict | None = None
) -> tuple[str, list[VideoClips]]:
    """Clips to measure with, as ``FeatureMonitorHook`` reads them, and where they come from."""
    source, dataset_cfg = held_out_config(cfg, arguments)
    try:
        dataset = DATASETS.build(dataset_cfg)
    except TypeError as error:  # a name that it does not take
        raise ValueError(f'the dataset to measure with cannot be made: {error}') from error
    return source, read_clips(dataset, pick(len(dataset), num_videos), num_clips)


@torch.no_grad()
def monitor(
    checkpoints: Sequence[str | Path],
    clips: Sequence[VideoClips],
    num_clips: int,
    config: Config | None = None,
    device: str = 'cpu',
    amp: Amp = False,
) -> Iterator[dict[str, float]]:
    """Measure one checkpoint after the other, see ``measures_of``.

    Args:
        checkpoints: Checkpoints of pretraining.
        clips: See ``monitored_clips``.
        num_clips: Clips of each video.
        config: What the checkpoints were trained with, where they do not tell.
        device: Where to compute.
        amp: bfloat16 autocast where the hardware has it; ``'force'`` everywhere.

    Raises:
        ValueError: If a checkpoint cannot be read, there are too few videos, or no such device.
    """
    place = to_cuda_if_any(device)
    bfloat16 = use_bfloat16(amp, place)
    for checkpoint in checkpoints:
        model = load_autoencoder(checkpoint, config).to(place)
        with torch.autocast(place.type, dtype=torch.bfloat16, enabled=bfloat16):
            yield measures_of([outputs_of(model, video, num_clips) for video in clips])


def _number(path: Path) -> re.Match | None:
    return NUMBERED.fullmatch(path.name)
