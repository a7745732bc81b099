"""Disks that cannot take a checkpoint, met by whole runs."""

import resource
from functools import partial
from pathlib import Path

from support import runs
from support.runs import assert_same_run

SMALLER_THAN_A_CHECKPOINT = 100_000  # bytes


def limit_file_size(iteration: int, until: int | None = None) -> None:
    """Saboteur: from one iteration on the system refuses to write more to a file."""
    from mmengine.runner import EpochBasedTrainLoop

    step = EpochBasedTrainLoop.run_iter

    def run_iter(self, idx, data_batch):
        if self.iter in (iteration, until):
            limit = SMALLER_THAN_A_CHECKPOINT if self.iter == iteration else resource.RLIM_INFINITY
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        step(self, idx, data_batch)

    EpochBasedTrainLoop.run_iter = run_iter


def checkpoints(work_dir: Path) -> set[str]:
    return {path.name for path in work_dir.iterdir() if 'pth' in path.name}


def test_a_write_that_fails_half_way_stops_the_run_which_can_be_resumed(config, tmp_path):
    reference, work_dir = tmp_path / 'reference', tmp_path / 'run'
    run = runs.start(config, reference)
    stopped = runs.start(config, work_dir, saboteur=partial(limit_file_size, 4))
    assert stopped.wait() == [1], stopped.output()
    assert run.wait() == [0], run.output()
    message = f'cannot write checkpoint {work_dir}/iter_5.pth: [Errno 27] File too large'
    assert message in stopped.output() and 'iter_4.pth, is intact' in stopped.output()
    assert checkpoints(work_dir) == {'iter_2.pth', 'iter_3.pth', 'iter_4.pth'}
    assert (work_dir / 'iter_4.pth').stat().st_size > 2 * SMALLER_THAN_A_CHECKPOINT

    run = runs.start(config, work_dir, arguments=['--resume'])
    assert run.wait() == [0], run.output()
    assert_same_run(reference, work_dir)


def test_two_processes_go_on_without_it_when_told_to(config, tmp_path):
    work_dir = tmp_path / 'run'
    options = ('default_hooks.checkpoint.on_error=continue', 'train_cfg.max_epochs=3')
    saboteur = partial(limit_file_size, 1, until=3)
    run = runs.start(config, work_dir, *options, world_size=2, saboteur=saboteur)
    assert run.wait() == [0, 0], run.output()
    assert run.output().count('the run goes on and tries again') == 2
    assert checkpoints(work_dir) == {'iter_4.pth', 'iter_5.pth', 'iter_6.pth'}
