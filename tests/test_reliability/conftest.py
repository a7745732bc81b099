"""Data for the runs."""

from pathlib import Path

import pytest
from support import runs


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
