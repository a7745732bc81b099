"""What a config needs to run where it is started."""

from typing import Any

import torch
import torch.distributed as dist
from mmengine.config import Config


def prepare_runtime(cfg: Config) -> None:
    """Complete a config in place before the Runner is built.

    Gives the training set the seed of ``randomness``, and makes several processes work without a
    GPU: mmengine 0.10.7 selects a CUDA device in both ``init_dist`` and ``wrap_model``, so the
    gloo group is made here (the Runner then makes none) and the wrapper gets no device ids.

    Args:
        cfg: A full config; ``launcher`` is ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.

    Raises:
        ValueError: If several processes are asked for without a GPU by another launcher than
            ``'pytorch'``.
    """
    seed = cfg.get('randomness', {}).get('seed')
    loader = cfg.get('train_dataloader')
    is_ours = loader is not None and loader.dataset.type.split('.')[-1] == 'VideoDataset'
    if seed is not None and is_ours:
        loader.dataset.setdefault('seed', seed)

    launcher = cfg.get('launcher', 'none')
    if launcher == 'none' or torch.cuda.is_available():
        return
    if launcher != 'pytorch':
        raise ValueError(
            f"launcher={launcher!r} needs GPUs; without one use launcher='pytorch' "
            '(tools/dist_train.sh)'
        )
    if not dist.is_initialized():
        dist.init_process_group('gloo')
    if 'strategy' in cfg:  # which wraps the model
        return
    wrapper: dict[str, Any] = dict(type='MMDistributedDataParallel', device_ids=None)
    if cfg.get('find_unused_parameters', False):
        wrapper['find_unused_parameters'] = True
    cfg.setdefault('model_wrapper_cfg', wrapper)
