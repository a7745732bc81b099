"""A killed and resumed run ends with the bits of one that was never stopped."""

import random
import time
from functools import partial
from pathlib import Path

import pytest
from support import runs
from support.runs import LAST, assert_same_bits, assert_same_run, final_state, wait_for_iteration


@pytest.fixture(scope='module')
def reference(tmp_path_factory, videos) -> Path:
    """Work directory of a run that was never stopped."""
    folder = tmp_path_factory.mktemp('reference')
    config = runs.write_config(folder, videos)
    run = runs.start(config, folder / 'run')
    assert run.wait() == [0], run.output()
    return folder / 'run'


@pytest.mark.parametrize('share', [0.0, 0.5, 1.0])
def test_a_kill_inside_a_save_loses_only_that_checkpoint(config, tmp_path, reference, share):
    work_dir = tmp_path / 'run'
    run = runs.start(config, work_dir, saboteur=partial(runs.die_inside_save, 3, share))
    assert run.wait() == [-9]
    assert (work_dir / 'last_checkpoint').read_text() == str(work_dir / 'iter_2.pth')
    assert (work_dir / '.iter_3.incomplete.pth').exists()
    done = len(runs.samples(work_dir))

    run = runs.start(config, work_dir, arguments=['--resume'])
    assert run.wait() == [0], run.output()
    assert 'resumed epoch: 0, iter: 2' in run.output()
    assert not list(work_dir.glob('.*.incomplete.pth'))
    assert_same_run(reference, work_dir)
    resumed = runs.samples(work_dir)[done:]
    decoded = [line['key'][2] for line in resumed if 'decoded' in line and line['key'][1] == 0]
    skipped = [
        line['key'][2]
        for line in runs.samples(reference)[: 2 * 2 + 2]  # two iterations of two videos
        if 'decoded' in line
    ]
    decoded_in_training = decoded[:4]
    assert len(skipped) == 4 and not set(skipped) & set(decoded_in_training)


def test_a_kill_between_checkpoint_and_pointer(config, tmp_path, reference):
    work_dir = tmp_path / 'run'
    run = runs.start(config, work_dir, saboteur=partial(runs.die_before_pointer, 6))
    assert run.wait() == [-9]
    assert (work_dir / 'last_checkpoint').read_text() == str(work_dir / 'iter_5.pth')
    run = runs.start(config, work_dir, arguments=['--resume'])
    assert run.wait() == [0], run.output()
    assert_same_run(reference, work_dir)


def test_the_number_of_workers_changes_nothing(config, tmp_path, reference):
    run = runs.start(config, tmp_path / 'run', 'train_dataloader.num_workers=2')
    assert run.wait() == [0], run.output()
    ours, theirs = final_state(tmp_path / 'run', LAST), final_state(reference, LAST)
    for key in ('state_dict', 'optimizer'):
        assert_same_bits(ours[key], theirs[key], key)


def test_a_damaged_newest_checkpoint(config, tmp_path, reference):
    work_dir = tmp_path / 'run'
    run = runs.start(config, work_dir, saboteur=partial(runs.die_inside_save, 6, 0.5))
    assert run.wait() == [-9]
    newest = work_dir / 'iter_5.pth'
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1  # a flipped bit
    newest.write_bytes(content)
    run = runs.start(config, work_dir, arguments=['--resume'])
    assert run.wait() == [0], run.output()
    assert 'iter_5.pth is damaged' in run.output()
    assert 'resumed epoch: 0, iter: 4' in run.output()
    assert_same_run(reference, work_dir)


def test_two_processes_killed_at_random_moments(config, tmp_path):
    kill_often(config, tmp_path, world_size=2, kills=2, epochs=6)


@pytest.mark.long
@pytest.mark.parametrize('world_size, kills', [(1, 40), (2, 20)])
def test_many_kills_at_random_moments(config, tmp_path, world_size, kills):
    kill_often(config, tmp_path, world_size, kills, epochs=kills)


def kill_often(config: Path, folder: Path, world_size: int, kills: int, epochs: int) -> None:
    """Kill a run again and again, after zero to two iterations and some milliseconds each time."""
    options = [f'train_cfg.max_epochs={epochs}']
    last = epochs * 4 // world_size
    run = runs.start(config, folder / 'reference', *options, world_size=world_size)
    assert run.wait(600) == [0] * world_size, run.output()

    work_dir = folder / 'run'
    rng = random.Random(kills)
    done, inside = [], 0
    for number in range(kills):
        arguments = ['--resume'] if number else []
        run = runs.start(config, work_dir, *options, arguments=arguments, world_size=world_size)
        newest = max((int(path.stem[5:]) for path in work_dir.glob('iter_*.pth')), default=0)
        wait_for_iteration(work_dir, min(newest + rng.randint(0, 2), last - 1))
        time.sleep(rng.uniform(0, 0.15))
        run.kill()
        done.append(run.wait() == [-9] * world_size)
        inside += any(work_dir.glob('.*.incomplete.pth'))
    run = runs.start(config, work_dir, *options, arguments=['--resume'], world_size=world_size)
    assert run.wait(600) == [0] * world_size, run.output()
    assert sum(done) >= 0.9 * kills, 'too few kills met a running process'
    assert_same_run(folder / 'reference', work_dir, world_size, last)
    print(f'{world_size} processes: {sum(done)} kills, {inside} of them inside a save')
