import copy
import tempfile

import pytest
import torch
from mmengine.config import Config

from mmmae_st.datasets import EpochSampler, VideoDataset
from mmmae_st.engine import ShardedStrategy
from mmmae_st.engine.runner.launch import prepare_runtime


def test_dataset_gets_the_seed_of_the_run_unless_it_has_one():
    for dataset, expected in ((dict(), 5), (dict(seed=2), 2)):
        dataset['type'] = 'VideoDataset'
        cfg = Config(dict(randomness=dict(seed=5), train_dataloader=dict(dataset=dataset)))
        prepare_runtime(cfg)
        assert cfg.train_dataloader.dataset.seed == expected


@pytest.mark.parametrize('by_class', [False, True])
def test_an_epoch_ends_with_an_update(by_class):
    sampler = dict(type=EpochSampler if by_class else 'EpochSampler')
    loader = dict(batch_size=4, sampler=sampler, dataset=dict(type=VideoDataset))
    for steps, multiple in ((3, 12), (1, None)):
        cfg = Config(dict(train_dataloader=copy.deepcopy(loader)))
        cfg.optim_wrapper = dict(accumulative_counts=steps)
        prepare_runtime(cfg)
        assert cfg.train_dataloader.sampler.get('multiple_of') == multiple
    cfg.optim_wrapper.accumulative_counts = 3
    cfg.train_dataloader.sampler.multiple_of = 24
    prepare_runtime(cfg)
    assert cfg.train_dataloader.sampler.multiple_of == 24


def test_several_processes_without_a_gpu_need_the_pytorch_launcher(monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    with pytest.raises(ValueError, match="launcher='slurm'"):
        prepare_runtime(Config(dict(launcher='slurm')))


def test_a_hook_that_is_none_is_left_out():
    hooks = dict(timer=None, reconstruction=None, explosion=dict(type='ExplosionHook'))
    cfg = Config(dict(default_hooks=hooks))
    prepare_runtime(cfg)
    assert list(cfg.default_hooks) == ['timer', 'explosion']  # mmengine leaves out its own


@pytest.mark.parametrize('strategy', ['mmmae_st.ShardedStrategy', 'FSDPStrategy', 'DDPStrategy'])
def test_a_model_cannot_be_spread_over_one_process(strategy):
    with pytest.raises(ValueError, match='there is one: start them with tools/dist_train.sh'):
        prepare_runtime(Config(dict(strategy=dict(type=strategy))))


def test_a_model_is_not_spread_without_a_launcher_elsewhere(tmp_path):
    strategy = ShardedStrategy(work_dir=str(tmp_path))
    with pytest.raises(ValueError, match='there is one'):
        strategy._wrap_model(torch.nn.Linear(1, 1))


def test_a_temporary_folder_in_which_workers_would_wait_for_ever_is_refused(tmp_path, monkeypatch):
    folder = str(tmp_path / ('x' * 80))
    monkeypatch.setattr(tempfile, 'tempdir', folder)
    loader = dict(dataset=dict(type='VideoDataset'), num_workers=2)
    with pytest.raises(ValueError, match=f'has {len(folder)} characters'):
        prepare_runtime(Config(dict(train_dataloader=loader)))
    prepare_runtime(Config(dict(train_dataloader=dict(loader, num_workers=0))))
