"""What is chosen for a folder of videos on machines of several kinds."""

import pytest
from mmengine.config import Config

from mmmae_st.analysis.config_cost import config_cost
from mmmae_st.config import check_config, override
from mmmae_st.config.presets import CLIPS, PRESETS, Hardware, find_hardware, plan_for_folder
from mmmae_st.datasets import EpochSampler
from mmmae_st.datasets.annotations import DataNotFoundError

CPU = Hardware(cores=2)
A100 = Hardware('A100', 79.2, True, 1, 16)
NODE = Hardware('A100', 79.2, True, 8, 96)
T4 = Hardware('T4', 14.6, False, 1, 4)
SMALL = Hardware('GTX', 7.8, False, 1, 8)


@pytest.fixture
def folder(tmp_path):
    for number in range(5):
        (tmp_path / f'{number}.mp4').touch()
    return str(tmp_path)


def planned(plan):
    """The config of a plan."""
    cfg = Config.fromfile(plan.config)
    override(cfg, plan.options)
    return cfg


@pytest.mark.parametrize(
    ('hardware', 'processes', 'preset', 'batch', 'steps'),
    [
        (CPU, 1, 'tiny', 4, 1),
        (CPU, 2, 'tiny', 2, 1),
        (SMALL, 1, 'small', 2, 64),
        (T4, 1, 'base', 4, 32),
        (A100, 1, 'base', 32, 4),
        (NODE, 8, 'large', 16, 1),
        (NODE, 2, 'base', 32, 2),
    ],
)
def test_choice(folder, hardware, processes, preset, batch, steps):
    plan = plan_for_folder(folder, hardware, processes)
    assert f"5 videos. Preset '{preset}'" in plan.told and plan.name.endswith(f'_{preset}')
    cfg = planned(plan)
    assert cfg.train_dataloader.batch_size == batch
    assert cfg.optim_wrapper.accumulative_counts == steps
    assert batch * steps * processes == PRESETS[preset].update
    assert not cfg.auto_scale_lr.enable
    assert cfg.train_dataloader.num_workers <= max(hardware.cores // processes, 1)
    assert cfg.train_dataloader.dataset.data_root == folder


def test_a_number_of_processes_that_does_not_divide_the_update_scales_the_rate(folder):
    cfg = planned(plan_for_folder(folder, NODE, 3))
    assert (cfg.train_dataloader.batch_size, cfg.optim_wrapper.accumulative_counts) == (32, 1)
    assert cfg.auto_scale_lr.enable and cfg.auto_scale_lr.base_batch_size == 128


@pytest.mark.parametrize('processes', [1, 2])
@pytest.mark.parametrize('videos', [1, 5, 6400, 6401, 20000])
def test_an_epoch_of_few_videos_repeats_them(folder, monkeypatch, videos, processes):
    monkeypatch.setattr('mmmae_st.config.presets.scan_folder', lambda _: range(videos))
    plan = plan_for_folder(folder, A100, processes)
    multiple = plan.options['train_dataloader.sampler.multiple_of']
    length = len(EpochSampler(range(-(-videos // processes)), multiple_of=multiple)) * processes
    assert length >= max(videos, 6400) and length % 128 == 0
    assert length < max(videos, 6400) + 128
    assert f'200 epochs of {length} videos' in plan.told
    assert ('comes again' in plan.told) == (videos <= 3200)


@pytest.mark.parametrize('epochs', [None, 2, 1000])
@pytest.mark.parametrize('preset', PRESETS)
def test_the_schedule_ends_with_the_last_epoch(folder, preset, epochs):
    cfg = planned(plan_for_folder(folder, A100, 1, preset, epochs))
    original = Config.fromfile(plan_for_folder(folder, A100, 1, preset).config)
    number = epochs or original.train_cfg.max_epochs
    warmup, cosine = cfg.param_scheduler
    assert cfg.train_cfg.max_epochs == cosine.end == number
    assert warmup.end == cosine.begin == number - cosine.T_max
    share = original.param_scheduler[0].end / original.train_cfg.max_epochs
    assert warmup.end == max(round(share * number), 1)


@pytest.mark.parametrize('preset', PRESETS)
def test_the_configs_pass_the_check(folder, preset):
    check_config(planned(plan_for_folder(folder, A100, 1, preset)))


@pytest.mark.long
@pytest.mark.parametrize('preset', ['small', 'base', 'large'])
def test_memory_of_a_clip_is_what_the_counter_says(folder, preset):
    cfg = planned(plan_for_folder(folder, A100, 1, preset))
    cost = config_cost(cfg)
    assert PRESETS[preset].mib_per_clip == round(cost.total.activation_bytes / 2**20)
    assert cfg.train_dataloader.dataset.pipeline[0].num_clips == CLIPS


def test_what_could_be_better_is_told(folder):
    assert '--gpus 8 uses all' in plan_for_folder(folder, NODE, 1).told
    assert 'mmmae_st prepare' in plan_for_folder(folder, T4, 1).told
    assert 'mmmae_st prepare' not in plan_for_folder(folder, A100, 1).told


def test_bad_arguments(folder, tmp_path):
    for arguments, words in (
        (dict(preset='giant'), "must be one of tiny, small, base, large, got 'giant'"),
        (dict(epochs=1), 'epochs must be at least 2'),
    ):
        with pytest.raises(ValueError, match=words):
            plan_for_folder(folder, CPU, **arguments)
    with pytest.raises(DataNotFoundError, match='is not a folder'):
        plan_for_folder(str(tmp_path / 'none'), CPU)


def test_this_machine():
    assert find_hardware().cores >= 1
