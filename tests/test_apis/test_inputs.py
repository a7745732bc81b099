from pathlib import Path

import numpy as np
import pytest
import torch

from mmmae_st.apis.inputs import find_inputs, unique_names

CLIP = np.zeros((4, 6, 8, 3), np.uint8)


def test_paths_folders_and_arrays_mix(clips, make_clip, tmp_path):
    (tmp_path / 'sub').mkdir()
    for name in ('b.mp4', 'sub/a.mp4'):
        make_clip(tmp_path / name, num_frames=2)
    (tmp_path / 'notes.txt').write_text('no video')
    found = find_inputs([clips['plain'], tmp_path, CLIP, torch.zeros(2, 4, 6, 8, 3).byte()])
    assert [video.name for video in found] == [
        *('plain', 'b', 'sub/a', 'clip0', 'clip0_2', 'clip1'),
    ]
    assert [video.frames is None for video in found] == [True] * 3 + [False] * 3
    assert Path(found[2].path) == tmp_path / 'sub/a.mp4'
    assert [video.path for video in find_inputs(clips['plain'])] == [str(clips['plain'])]
    assert len(find_inputs(tmp_path.glob('*.mp4'))) == 1


def test_names_are_told_apart():
    assert unique_names(['x.1', 'x.1', 'x.2', 'x.1_2']) == ['x.1', 'x.1_2', 'x.2', 'x.1_2_2']


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ([], 'at least one video, got an empty list'),
        (3, 'must be paths or arrays'),
        ([3], r'must be paths or arrays \(T, H, W, 3\), got a int'),
        (CLIP.astype(np.float32), r'uint8 RGB .*got float32 \(4, 6, 8, 3\)'),
        (torch.zeros(3, 4, 6, 8).byte(), r'uint8 RGB .*got uint8 \(3, 4, 6, 8\)'),
        (CLIP[:0], r'got uint8 \(0, 6, 8, 3\)'),
    ],
)
def test_what_is_no_video_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        find_inputs(given)


def test_missing_file_is_an_error_alone_and_a_broken_video_in_a_list():
    with pytest.raises(FileNotFoundError, match=r'video none\.mp4 does not exist'):
        find_inputs('none.mp4')
    assert find_inputs(['none.mp4'])[0].path == 'none.mp4'
