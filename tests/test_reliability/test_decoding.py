"""The decoding path under bad files: no crash, no growth, no hang."""

import multiprocessing
import time

import pytest
from support import runs
from support.fuzz_decoding import fuzz, write_seeds

HANGING = """
train_dataloader['dataset']['pipeline'] = [
    dict(type='LoadClips', clip_len=8, frame_interval=2, num_clips=2, timeout=0.5),
    dict(type='ClipRandomResizedCrop', size=32, scale=(0.5, 1.0)),
    dict(type='ClipFlip', prob=0.5),
    dict(type='RandomMasking', ratio=0.75, patch_size=8),
    dict(type='PackClips'),
]
"""


def check_fuzz(seeds, number: int, backend: str) -> dict:
    with multiprocessing.get_context('forkserver').Pool(1) as pool:  # a crash ends that process
        result = pool.apply_async(fuzz, (seeds, number, backend))
        outcome = result.get(timeout=3600)
    assert sum(outcome['outcomes'].values()) == number
    assert number // 8 < outcome['outcomes']['read'] < number // 2  # the changes do bite
    assert outcome['descriptors_grown'] <= 0
    assert outcome['threads'] <= 2
    memory = outcome['megabytes']
    assert memory[-1] <= 1.03 * memory[len(memory) // 4], memory
    return outcome


def test_mutated_files(tmp_path, make_clip):
    check_fuzz(write_seeds(tmp_path, make_clip), 160, 'pyav')


@pytest.mark.long
def test_thousands_of_mutated_files(tmp_path, make_clip):
    check_fuzz(write_seeds(tmp_path, make_clip), 10000, 'pyav')


def hang_in_reader() -> None:
    """Saboteur: the decoder never comes back from two of the files."""
    from mmmae_st.datasets.readers import PyAVReader

    read = PyAVReader.read

    def hanging_read(self, *args):
        if self._container.name.endswith(('2.mp4', '5.mp4')):
            time.sleep(10**6)
        return read(self, *args)

    PyAVReader.read = hanging_read


@pytest.mark.parametrize('workers', [0, 1])
def test_a_decoder_that_hangs_does_not_hang_the_run(tmp_path, videos, workers):
    config = runs.write_config(tmp_path, videos, HANGING)
    run = runs.start(
        config,
        tmp_path / 'run',
        f'train_dataloader.num_workers={workers}',
        'default_hooks.broken_videos.max_share=0.5',
        saboteur=hang_in_reader,
    )
    began = time.monotonic()
    assert run.wait(120) == [0], run.output()
    assert time.monotonic() - began < 120
    lines = (tmp_path / 'run' / 'broken_videos.txt').read_text().splitlines()
    listed = dict(line.split('\t') for line in lines)
    assert sorted(listed) == [str(videos / 'train' / name) for name in ('2.mp4', '5.mp4')]
    assert all('not decoded within 0.5 s' in cause for cause in listed.values())
