import copy

import pytest
from mmengine.config import Config

from mmmae_st.datasets import EpochSampler, VideoDataset
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
