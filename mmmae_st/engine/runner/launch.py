"""What a config needs to run where it is started."""

import tempfile
from typing import Any

import torch
import torch.distributed as dist
from mmengine._strategy import DDPStrategy
from mmengine.config import Config
from mmengine.registry import DATA_SAMPLERS, DATASETS, STRATEGIES

from mmmae_st.datasets import EpochSampler, MixedVideoDataset, VideoDataset
from mmmae_st.engine.optimizers.sharding import NEEDS_PROCESSES
from mmmae_st.fileio.array_pickle import use_array_pickles
from mmmae_st.registry import is_component

# Hooks that mmengine registers whatever a config says.
HOOK_NAMES = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
# A socket's name has 107 characters at most, of which Python's multiprocessing takes 32.
MAX_TEMPORARY = 75
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def prepare_runtime(cfg: Config) -> None:
    """Complete a config in place before the Runner is built.

    Gives the training set the seed of ``randomness``, lets each epoch end with an update where
    steps are accumulated, leaves out hooks that are None (mmengine does so with its own only), and
    makes several processes work without a GPU: mmengine 0.10.7 selects a CUDA device in both
    ``init_dist`` and ``wrap_model``, so the gloo group is made here (the Runner then makes none)
    and the wrapper gets no device ids. mmaction2 unpickles files of person boxes,
    and so would run what a file from elsewhere asks for: where a config names one, pickle files are
    read as plain data and arrays only from here on.

    Args:
        cfg: A full config; ``launcher`` is ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.

    Raises:
        ValueError: If several processes are asked for without a GPU by another launcher than
            ``'pytorch'``, a model is to be spread over processes without a launcher, or the name of
            the temporary folder is too long for loader workers.
    """
    _complete_loader(cfg)
    _require_short_temporary_folder(cfg)
    for name in [name for name, hook in (cfg.get('default_hooks') or {}).items() if hook is None]:
        if name not in HOOK_NAMES:
            del cfg.default_hooks[name]
    datasets = [(cfg.get(key) or {}).get('dataset') or {} for key in LOADERS]
    if any(dataset.get('proposal_file') for dataset in datasets):
        use_array_pickles()
    launcher = cfg.get('launcher', 'none')
    scope = cfg.get('default_scope') or 'mmmae_st'
    if launcher == 'none' and is_component(STRATEGIES, cfg.get('strategy'), DDPStrategy, scope):
        raise ValueError(NEEDS_PROCESSES)
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


def _require_short_temporary_folder(cfg: Config) -> None:
    """Loader workers hand tensors over by sockets there; with a longer name nothing arrives."""
    folder = tempfile.gettempdir()
    if len(folder) > MAX_TEMPORARY and any((cfg.get(k) or {}).get('num_workers') for k in LOADERS):
        raise ValueError(
            f'the name of the temporary folder {folder} has {len(folder)} characters, and loader '
            f'workers need one of at most {MAX_TEMPORARY}: set TMPDIR'
        )


def _complete_loader(cfg: Config) -> None:
    for key in LOADERS:
        # of a config that inherits from a package; mmengine would give it to the function
        ((cfg.get(key) or {}).get('collate_fn') or {}).pop('_scope_', None)
    scope = cfg.get('default_scope') or 'mmmae_st'
    loader = cfg.get('train_dataloader') or Config()
    seed = cfg.get('randomness', {}).get('seed')
    kinds = VideoDataset, MixedVideoDataset
    if seed is not None and is_component(DATASETS, loader.get('dataset'), kinds, scope):
        loader.dataset.setdefault('seed', seed)
    steps = cfg.get('optim_wrapper', {}).get('accumulative_counts', 1)
    if steps > 1 and is_component(DATA_SAMPLERS, loader.get('sampler'), EpochSampler, scope):
        loader.sampler.setdefault('multiple_of', loader.batch_size * steps)
