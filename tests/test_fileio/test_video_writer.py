"""H.264 files of arrays."""

import ctypes

import numpy as np
import pytest

from mmmae_st.fileio.video_writer import write_video

M_PERTURB = -6  # of glibc's mallopt: new memory is filled with a byte


@pytest.fixture
def fill_memory():
    try:
        set_option = ctypes.CDLL(None).mallopt
    except AttributeError:
        pytest.skip('only glibc fills new memory on demand')
    yield lambda byte: set_option(M_PERTURB, byte)
    set_option(M_PERTURB, 0)


def test_files_do_not_depend_on_what_was_in_memory(tmp_path, fill_memory):
    noise = np.random.default_rng(0).integers(0, 255, (8, 8, 8, 3), dtype=np.uint8)
    frames = noise.repeat(8, axis=1).repeat(8, axis=2)
    found = set()
    for byte in (0, 85, 170, 255):
        fill_memory(byte)
        write_video(tmp_path / 'clip.mp4', frames)
        found.add((tmp_path / 'clip.mp4').read_bytes())
    assert len(found) == 1
