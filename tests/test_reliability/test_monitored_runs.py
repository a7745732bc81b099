"""Measuring during a run leaves the run as it is, and two processes measure what one does."""

from functools import partial
from pathlib import Path

import pytest
from support import runs
from support.runs import DROP_PATH, LAST, assert_same_run, final_state

PLAIN = (
    f"{DROP_PATH}\ndefault_hooks['step_seed'] = None  # drop path draws from the run's generator"
)
MONITOR = """
videos = dict(data_prefix=dict(video='train'))
labels = dict(videos, ann_file='labels.txt')
default_hooks['monitor'] = dict(
    type='FeatureMonitorHook', interval=1, num_videos=8, num_clips=2, dataset=videos,
    labelled=dict(train=labels, test=labels),
)
"""


@pytest.fixture(scope='module')
def labelled_videos(videos) -> Path:
    (videos / 'labels.txt').write_text(''.join(f'{i}.mp4 {i % 2}\n' for i in range(8)))
    return videos


def run(folder: Path, videos: Path, extra: str, name: str = 'run', **options: object) -> Path:
    config = runs.write_config(folder, videos, extra)
    process = runs.start(config, folder / name, **options)
    assert set(process.wait()) == {0}, process.output()
    return folder / name


@pytest.fixture(scope='module')
def monitored(tmp_path_factory, labelled_videos) -> Path:
    return run(tmp_path_factory.mktemp('monitored'), labelled_videos, DROP_PATH + MONITOR)


def history(work_dir: Path, last: int = LAST) -> list[dict]:
    return final_state(work_dir, last)['message_hub']['runtime_info']['feature_monitor']


def test_a_run_has_the_bits_of_one_that_is_not_measured(tmp_path, labelled_videos):
    plain = run(tmp_path, labelled_videos, PLAIN, 'plain')
    measured = run(tmp_path, labelled_videos, PLAIN + MONITOR, 'measured')
    assert_same_run(plain, measured)


def test_what_is_told(monitored):
    # the last one comes after the last iteration, whose checkpoint this is
    assert [measures['epoch'] for measures in history(monitored)] == [0, 1]
    assert {'rank', 'arrow', 'loss_previous', 'knn', 'linear'} < set(history(monitored)[0])
    log = (monitored / '000.out').read_text()
    assert 'measures 8 videos of a set of their own, 2 clips of each' in log
    for epoch in range(3):
        assert log.count(f'Epoch {epoch}, features: rank ') == 1
    assert log.count('of the time so far; interval=') == 1


def test_a_resumed_run_goes_on_measuring(tmp_path, labelled_videos, monitored):
    config = runs.write_config(tmp_path, labelled_videos, DROP_PATH + MONITOR)
    killed = runs.start(config, tmp_path / 'run', saboteur=partial(runs.die_inside_save, 6, 0.5))
    assert killed.wait() == [-9]
    resumed = runs.start(config, tmp_path / 'run', arguments=['--resume'])
    assert resumed.wait() == [0], resumed.output()
    assert_same_run(monitored, tmp_path / 'run')
    assert history(tmp_path / 'run') == history(monitored)


def test_two_processes_measure_what_one_does(tmp_path, labelled_videos, monitored):
    together = run(tmp_path, labelled_videos, DROP_PATH + MONITOR, world_size=2)
    assert history(together, LAST // 2)[0] == history(monitored)[0]
    assert 'Epoch 2, features' in (together / '000.out').read_text()
