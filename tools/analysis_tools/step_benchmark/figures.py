"""Times steps in turn and puts the figures together."""

import platform

import torch
from mmengine.config import Config

from mmmae_st.analysis.pretraining_cost import pretraining_cost
from mmmae_st.analysis.step_time import Timing, matmul, peak_memory, time_in_turn

from .steps import Settings, Step


def measure(
    name: str, configs: dict[str, Config], steps: dict[str, Step], settings: Settings
) -> dict:
    """Time steps in turn with a large matrix product of their type.

    Args:
        name: Of the config.
        configs: The config that counts the operations of each step.
        steps: What to time, by name; one is ``'ours'``, which the others are compared with.
        settings: How.

    Returns:
        The figures, plain data.
    """
    device = torch.device(settings.device)
    losses = {key: step.loss() for key, step in steps.items()}
    product, product_macs = matmul(device, torch.bfloat16 if settings.amp else torch.float32)
    times = time_in_turn({'matmul': product, **steps}, device, settings.runs, settings.warmup)
    figures = summarise(configs, name, settings, times, losses, product_macs)
    for key, step in steps.items():
        peak = peak_memory(step, device)
        figures['models'][key]['peak_gib'] = None if peak is None else peak / 2**30
    return figures


def summarise(
    configs: dict[str, Config],
    name: str,
    settings: Settings,
    times: dict[str, Timing],
    losses: dict[str, float],
    product_macs: int,
) -> dict:
    """Rates and ratios, plain data; `name` is that of the config."""
    ceiling = product_macs / times['matmul'].median
    device = torch.device(settings.device)
    if device.type == 'cuda':
        chip = torch.cuda.get_device_name(device)
    else:
        chip = f'{platform.machine()} {torch.backends.cpu.get_cpu_capability()}'
    figures = dict(
        config=name,
        device=f'{device.type} {chip}',
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        dtype='bfloat16' if settings.amp else 'float32',
        compiled=settings.compile,
        batch=settings.batch,
        mask_ratio=pretraining_cost(configs['ours']).mask_ratio,
        ceiling_gmacs_per_second=ceiling / 1e9,
        models={},
    )
    for key, cfg in configs.items():
        # A backward pass multiplies twice as much as the forward pass. The others are given what
        # ours needs, so that their rate is that of useful work.
        macs = 3 * pretraining_cost(cfg).executed['dense' if key == 'dense' else 'sparse']
        seconds = times[key].median / settings.batch
        figures['models'][key] = dict(
            loss=losses[key],
            clips_per_second=1 / seconds,
            seconds_per_clip=seconds,
            fastest_slowest=[s / settings.batch for s in times[key].spread],
            gmacs_per_clip=macs / 1e9,
            gmacs_per_second=macs / seconds / 1e9,
            share_of_ceiling=macs / seconds / ceiling,
            time_over_ours=times[key].median / times['ours'].median,
        )
    return figures
