import pytest
from mmengine.config import Config

from mmmae_st.engine.launch import prepare_runtime


def test_dataset_gets_the_seed_of_the_run_unless_it_has_one():
    for dataset, expected in ((dict(), 5), (dict(seed=2), 2)):
        dataset['type'] = 'VideoDataset'
        cfg = Config(dict(randomness=dict(seed=5), train_dataloader=dict(dataset=dataset)))
        prepare_runtime(cfg)
        assert cfg.train_dataloader.dataset.seed == expected


def test_several_processes_without_a_gpu_need_the_pytorch_launcher(monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    with pytest.raises(ValueError, match="launcher='slurm'"):
        prepare_runtime(Config(dict(launcher='slurm')))
