"""Pretraining on a folder of videos with what the machine has: which config, and how much at once.

A step holds as many videos as fit into memory; what is missing to the update that the learning rate
is meant for is accumulated. An epoch of few videos repeats them, each time with other clips.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from mmmae_st.config.packaged import find_config
from mmmae_st.datasets.annotations import scan_folder
from mmmae_st.datasets.parallel import usable_cores

CLIPS = 4  # of each video in a step, in every preset
MEMORY_SHARE = 0.5  # of a GPU for what the forward pass keeps; the rest is for kernels and weights
CORES_PER_GPU = 8  # fewer can hardly decode as fast as a GPU trains


@dataclass(frozen=True)
class Hardware:
    """What a process finds.

    Attributes:
        gpu: Name, '' without one.
        memory: GiB of the smallest GPU.
        bfloat16: Whether the GPU computes in it.
        gpus: How many there are.
        cores: CPU cores that this process may use.
    """

    gpu: str = ''
    memory: float = 0.0
    bfloat16: bool = True
    gpus: int = 0
    cores: int = 1


@dataclass(frozen=True)
class Preset:
    """A model with its recipe.

    Attributes:
        config: Short name of the config that it changes.
        model: What it is, for people.
        update: Videos per update of the weights that the learning rate is meant for.
        batch: Videos in a step of one process, at most.
        epoch: Videos of an epoch, at least.
        epochs: Epochs of the config.
        warmup: Those of them in which the learning rate rises.
        workers: Processes that decode, at most.
        mib_per_clip: Activations of a clip in bfloat16, as ``tools/analysis_tools/get_flops.py``.
        options: Overrides of the config.
    """

    config: str
    model: str
    update: int
    batch: int
    epoch: int
    epochs: int = 200
    warmup: int = 30
    workers: int = 12
    mib_per_clip: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)


PRESETS = {
    'tiny': Preset(
        'quickstart',
        'a small ViT on clips of 8 x 64 x 64',
        update=4,
        batch=4,
        epoch=240,
        epochs=11,
        warmup=1,
        workers=1,
        options=dict(val_dataloader=None, val_cfg=None, val_evaluator=None),
    ),
    'small': Preset(
        'mae_st_vitb_folder_1gpu',
        'ViT-S on clips of 16 x 224 x 224',
        update=128,
        batch=32,
        epoch=6400,
        mib_per_clip=128,
        options={'model.backbone.arch': 'small', 'model.decoder.encoder_dims': 384},
    ),
    'base': Preset(
        'mae_st_vitb_folder_1gpu',
        'ViT-B on clips of 16 x 224 x 224',
        update=128,
        batch=32,
        epoch=6400,
        mib_per_clip=153,
    ),
    'large': Preset(
        'mae_st_vitl_k400_1gpu',
        'ViT-L on clips of 16 x 224 x 224',
        update=128,
        batch=16,
        epoch=6400,
        mib_per_clip=236,
    ),
}


def find_hardware() -> Hardware:
    """GPUs and cores of this machine."""
    cores = usable_cores()
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not gpus:
        return Hardware(cores=cores)
    found = [torch.cuda.get_device_properties(i) for i in range(gpus)]
    return Hardware(
        gpu=found[0].name,
        memory=min(gpu.total_memory for gpu in found) / 2**30,
        bfloat16=torch.cuda.is_bf16_supported(including_emulation=False),
        gpus=gpus,
        cores=cores,
    )


def choose(hardware: Hardware, processes: int) -> tuple[str, str]:
    """Name of the preset that fits, and why."""
    if not hardware.gpus:
        return 'tiny', f'there is no GPU, and {hardware.cores} CPU cores'
    found = f'{hardware.gpu} with {hardware.memory:.0f} GiB'
    if hardware.memory < 12:
        return 'small', f'{found}: less than 12 GiB'
    if processes >= 4 and hardware.memory >= 40:
        return 'large', f'{processes} processes, {found}: at least 4 of at least 40 GiB'
    return 'base', f'{found}: at least 12 GiB'


@dataclass(frozen=True)
class Plan:
    """A run on a folder.

    Attributes:
        config: File of the config.
        options: Overrides of the config, by dotted keys.
        name: Of the run: that of the folder and that of the preset.
        told: What was chosen and why, and how to choose otherwise; lines for people.
    """

    config: str
    options: dict[str, Any]
    name: str
    told: str


def plan_for_folder(
    folder: str,
    hardware: Hardware,
    processes: int = 1,
    preset: str | None = None,
    epochs: int | None = None,
) -> Plan:
    """Plan pretraining on the videos below a folder.

    Args:
        folder: Where the videos are.
        hardware: See :func:`find_hardware`.
        processes: Processes of the run, each with a GPU if there are any.
        preset: One of ``PRESETS``; what fits the hardware by default.
        epochs: Epochs, at least 2; those of the preset's config by default.

    Raises:
        DataNotFoundError: ``folder`` is not a folder.
        AnnotationError: It holds no video.
        ValueError: ``preset`` or ``epochs`` is none.
    """
    name, why = (preset, 'it was asked for') if preset else choose(hardware, processes)
    if name not in PRESETS:
        raise ValueError(f'the preset must be one of {", ".join(PRESETS)}, got {name!r}')
    chosen = PRESETS[name]
    epochs = chosen.epochs if epochs is None else epochs
    if epochs < 2:
        raise ValueError(f'epochs must be at least 2, of which the first warms up, got {epochs}')
    videos = len(scan_folder(folder))
    batch = _batch(chosen, hardware, processes)
    steps = 2 ** max(round(math.log2(chosen.update / (batch * processes))), 0)
    update = batch * steps * processes
    least = math.ceil(chosen.epoch / update) * update
    multiple = update if videos > least else least
    epoch = math.ceil(videos / multiple) * multiple
    workers = max(min(chosen.workers, hardware.cores // processes), 1)
    warmup = max(round(chosen.warmup * epochs / chosen.epochs), 1)
    told = [
        f"{folder}: {videos} videos. Preset '{name}', {chosen.model}: {why}.",
        f'  {batch} videos x {CLIPS} clips a step, {steps} accumulated, {processes} processes: '
        f'{update} videos per update; {workers} loader processes for each.',
        f'  {epochs} epochs of {epoch} videos'
        + (', so that each comes again with other clips.' if epoch >= 2 * videos else '.'),
    ]
    if hardware.gpus > processes:
        told.append(f'  {hardware.gpus} GPUs are here: --gpus {hardware.gpus} uses all.')
    if hardware.gpus and hardware.cores < CORES_PER_GPU * processes:
        told.append(
            f'  {hardware.cores} CPU cores may decode too slowly: prepare the videos first '
            f'(mmmae_st prepare {folder} NEW_FOLDER --for {chosen.config}).'
        )
    told.append(
        f'  Otherwise: --preset {"|".join(PRESETS)}, --epochs N, --cfg-options KEY=VALUE; '
        f'the config is {chosen.config}.'
    )
    options = {
        **chosen.options,
        'train_dataloader.dataset.data_root': os.path.abspath(folder),
        'train_dataloader.dataset.ann_file': '',
        'train_dataloader.dataset.data_prefix.video': '',
        'train_dataloader.batch_size': batch,
        'train_dataloader.num_workers': workers,
        'train_dataloader.sampler.multiple_of': multiple // processes,
        'optim_wrapper.accumulative_counts': steps,
        'auto_scale_lr.enable': update != chosen.update,
        'train_cfg.max_epochs': epochs,
        'param_scheduler.0.end': warmup,
        'param_scheduler.1.begin': warmup,
        'param_scheduler.1.T_max': epochs - warmup,
        'param_scheduler.1.end': epochs,
    }
    run = f'{os.path.basename(os.path.abspath(folder))}_{name}'
    return Plan(find_config(chosen.config), options, run, '\n'.join(told))


def _batch(preset: Preset, hardware: Hardware, processes: int) -> int:
    """Videos of a process in a step: a power of two that memory and update allow."""
    most = min(preset.batch, max(preset.update // processes, 1))
    if hardware.gpus and preset.mib_per_clip:
        mib = CLIPS * preset.mib_per_clip * (1 if hardware.bfloat16 else 2)
        most = min(most, max(int(MEMORY_SHARE * hardware.memory * 1024 / mib), 1))
    return 2 ** int(math.log2(most))
