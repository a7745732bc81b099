"""Data for the runs, and the marker of the proofs that take minutes."""

from pathlib import Path

import pytest
from support import runs


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line('markers', 'long: takes minutes; run only with -m long')


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if 'long' not in config.option.markexpr:
        for item in items:
            if item.get_closest_marker('long'):
                item.add_marker(pytest.mark.skip(reason='takes minutes; run with -m long'))


@pytest.fixture(scope='session')
def videos(tmp_path_factory, make_clip) -> Path:
    """Eight training clips and two validation clips."""
    root = tmp_path_factory.mktemp('videos')
    for split, number in dict(train=8, val=2).items():
        (root / split).mkdir()
        for i in range(number):
            make_clip(root / split / f'{i}.mp4', num_frames=20 + i)
    return root


@pytest.fixture
def config(tmp_path, videos) -> Path:
    return runs.write_config(tmp_path, videos)
