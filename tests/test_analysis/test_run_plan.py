"""The arithmetic of a run's plan."""

import pytest

from mmmae_st.analysis.run_plan import RunPlan

MEND = 'prepare at 7.5 frames/s'


def test_a_run_that_loading_holds_up():
    plan = RunPlan(8, 96, 3600 * 100_000, 840, 35, 168, MEND)
    assert plan.hours(35) == pytest.approx(100_000 / (96 * 35))
    assert plan.lines() == [
        '8 devices ask for 6.72e+03 clips/s (840 clips/s each)',
        '96 cores give 3.36e+03 clips/s (35 clips/s each)',
        'the run has 360,000,000 clips and takes 29.8 h',
        'workers: 24 feed a device, 12 cores are there for each',
        'bottleneck: loading; the devices wait 50% of the time. train_dataloader.num_workers=12',
        'mend: prepare at 7.5 frames/s: 4.8 times the clips of a core, 14.9 h instead of 29.8 h',
    ]


def test_a_run_that_the_devices_hold_up():
    lines = RunPlan(1, 16, 3600 * 840, 840, 168, 200, MEND).lines()
    assert lines[-1] == 'bottleneck: the devices. train_dataloader.num_workers=5'
    assert 'takes 1 h' in lines[2]


def test_what_is_unknown_is_said_to_be():
    lines = RunPlan(2, 4, None, None, 35, 70, MEND).lines()
    assert lines == [
        '2 devices ask for an unknown rate (an unknown rate each)',
        '4 cores give 140 clips/s (35 clips/s each)',
        'the run has an unknown number of clips and takes an unknown time',
        'bottleneck: unknown',
        'mend: prepare at 7.5 frames/s: 2.0 times the clips of a core',
    ]
    assert RunPlan(1, 1, 5, 9, None).lines()[-1] == 'bottleneck: unknown'
