"""A run on a mixture of sources: its shares, exact resume, broken videos by source."""

from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from support import runs
from support.runs import assert_same_bits, assert_same_run, final_state

LAST = 10  # iterations: two epochs of ten samples, two at a time


@pytest.fixture(scope='module')
def sources(tmp_path_factory, make_clip) -> list[Path]:
    """Folders of four and of three videos, and one in the second that cannot be read."""
    folders = [tmp_path_factory.mktemp(name) for name in ('first', 'second')]
    for folder, number in zip(folders, (4, 3), strict=True):
        for i in range(number):
            make_clip(folder / f'{i}.mp4', num_frames=20 + i)
    (folders[1] / 'broken.mp4').write_bytes(b'no video')
    return folders


def start(folder: Path, sources: list[Path], *options: str, **more) -> runs.Run:
    """A run of two epochs on the mixture, without validation."""
    folder.mkdir(exist_ok=True)
    rest = [
        dict(type='ClipRandomResizedCrop', size=32, scale=(0.5, 1.0)),
        dict(type='RandomMasking', ratio=0.75, patch_size=8),
        dict(type='PackClips'),
    ]
    mixture = dict(
        type='MixedVideoDataset',
        datasets=[
            dict(
                type='VideoDataset',
                data_root=str(source),
                pipeline=[
                    dict(type='LoadClips', clip_len=8, frame_interval=step, num_clips=2),
                    *rest,
                ],
            )
            for source, step in zip(sources, (2, 1), strict=True)
        ],
        weights=[1, 4],
        length=10,
    )
    extra = f'train_dataloader = dict(dataset=dict(_delete_=True, **{mixture!r}))'
    config = runs.write_config(folder, sources[0], extra, runs.NO_VALIDATION)
    return runs.start(config, folder / 'run', *options, **more)


@pytest.fixture(scope='module')
def reference(tmp_path_factory, sources) -> runs.Run:
    """A run that was never stopped; ``folder`` is its work directory."""
    folder = tmp_path_factory.mktemp('mixture')
    run = start(folder, sources)
    assert run.wait() == [0], run.output()
    run.folder = folder / 'run'
    return run


def test_shares_and_broken_videos_by_source(reference, sources):
    steps = [line for line in runs.samples(reference.folder) if 'iter' in line]
    given = Counter(Path(path).parent for line in steps for path in line['paths'])
    assert given == {sources[0]: 4, sources[1]: 16}
    first, second = (f'datasets[{i}] ({source})' for i, source in enumerate(sources))
    told = f'are broken (0 of 2 of {first}, 1 of 4 of {second})'
    assert told in reference.output()
    assert (reference.folder / 'broken_videos.txt').read_text().count('\n') == 1


def test_a_killed_run_ends_with_the_same_bits(tmp_path, reference, sources):
    run = start(tmp_path, sources, saboteur=partial(runs.die_inside_save, 7, 0.5))
    assert run.wait() == [-9]
    run = start(tmp_path, sources, arguments=['--resume'])
    assert run.wait() == [0], run.output()
    assert_same_run(reference.folder, tmp_path / 'run', last=LAST)


def test_the_number_of_workers_changes_nothing(tmp_path, reference, sources):
    run = start(tmp_path, sources, 'train_dataloader.num_workers=2')
    assert run.wait() == [0], run.output()
    ours, theirs = (final_state(folder, LAST) for folder in (tmp_path / 'run', reference.folder))
    assert_same_bits(ours['state_dict'], theirs['state_dict'])
