"""Two processes do what one does, and end together."""

import signal
import time
from functools import partial
from pathlib import Path

import pytest
import runs
import torch
from test_exact_resume import wait_for_iteration

# weights move by exactly the gradient, and every video is seen in one order
PLAIN = """
optim_wrapper = dict(
    _delete_=True, type='OptimWrapper', optimizer=dict(type='SGD', lr=1.0),
    accumulative_counts={accumulate})
param_scheduler = None
train_dataloader.update(batch_size={batch})
default_hooks['checkpoint'].update(interval={accumulate}, max_keep_ckpts=-1)
train_cfg = dict(max_epochs=1)
"""


@pytest.fixture(scope='module')
def one_update(tmp_path_factory, videos):
    """Run the first update of a batch of four; give the weights and the logged loss."""

    def run(batch: int, accumulate: int, world_size: int) -> tuple[dict, list[float], Path]:
        folder = tmp_path_factory.mktemp('update')
        extra = PLAIN.format(batch=batch, accumulate=accumulate)
        config = runs.write_config(folder, videos, extra)
        run = runs.start(config, folder / 'run', world_size=world_size)
        assert run.wait() == [0] * world_size, run.output()
        content = torch.load(folder / 'run' / f'iter_{accumulate}.pth', weights_only=True)
        losses = content['message_hub']['log_scalars']['train/loss']['log'].tolist()
        return content['state_dict'], losses, folder / 'run'

    return run


@pytest.fixture(scope='module')
def whole_batch(one_update):
    return one_update(4, 1, 1)


def assert_same_gradient(ours: dict, theirs: dict) -> None:
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight, rtol=0, atol=1e-6, msg=name)


def test_two_processes_give_the_gradient_of_one(one_update, whole_batch):
    weights, losses, work_dir = one_update(2, 1, 2)
    assert_same_gradient(weights, whole_batch[0])
    assert losses == pytest.approx(whole_batch[1], abs=1e-6)  # the log speaks of the whole batch
    metric = (work_dir / '000.out').read_text().split('held_out/loss: ')[1].split()[0]
    expected = (whole_batch[2] / '000.out').read_text().split('held_out/loss: ')[1].split()[0]
    assert metric == expected


def test_masks_differ_across_processes_and_clips(one_update):
    work_dir = one_update(2, 1, 2)[2]
    masks = [
        str(clip)
        for rank in (0, 1)
        for line in runs.samples(work_dir, rank)
        if 'iter' in line
        for video in line['ids']
        for clip in video
    ]
    assert len(masks) == 16 and len(set(masks)) == 16


def test_accumulation_equals_the_large_batch(one_update, whole_batch):
    weights, losses, _ = one_update(2, 2, 1)
    assert_same_gradient(weights, whole_batch[0])
    assert sum(losses) / 2 == pytest.approx(whole_batch[1][0], abs=1e-6)


def test_both_at_once(one_update, whole_batch):
    assert_same_gradient(one_update(1, 2, 2)[0], whole_batch[0])


def test_a_set_that_the_processes_do_not_divide(tmp_path, videos):
    config = runs.write_config(tmp_path, videos)
    options = ('train_dataloader.dataset.indices=5', 'train_dataloader.drop_last=False')
    run = runs.start(config, tmp_path / 'run', *options, world_size=2)
    assert run.wait() == [0, 0], run.output()
    for rank in (0, 1):
        batches = [line['paths'] for line in runs.samples(tmp_path / 'run', rank) if 'iter' in line]
        assert [len(batch) for batch in batches] == [2, 1] * 2  # 5 videos, one of them twice
    seen = {
        path
        for rank in (0, 1)
        for line in runs.samples(tmp_path / 'run', rank)
        for path in line.get('paths', [])
    }
    assert len(seen) == 5


def test_a_broken_video_is_named_once_by_all(tmp_path, make_clip):
    folder = tmp_path / 'train'
    folder.mkdir()
    for i in range(7):
        make_clip(folder / f'{i}.mp4', num_frames=20)
    (folder / 'bad.mp4').write_bytes(b'')
    config = runs.write_config(tmp_path, tmp_path, validation=runs.NO_VALIDATION)
    run = runs.start(config, tmp_path / 'run', world_size=2)
    assert run.wait() == [0, 0], run.output()
    assert run.output().count('Cannot read') == 1
    for epoch in (1, 2):
        count = f'Epoch {epoch}: 1 samples were replaced'
        assert run.output().count(count) == 1


@pytest.mark.parametrize('rank', [0, 1])
def test_an_error_in_one_process_ends_both_with_the_cause_once(config, tmp_path, rank):
    run = runs.start(
        config, tmp_path / 'run', world_size=2, saboteur=partial(runs.fail_on_rank, rank, 1)
    )
    began = time.monotonic()
    assert run.wait(60) == [1, 1], run.output()
    assert time.monotonic() - began < 60
    assert run.output().count('ZeroDivisionError: the cause of it all') == 1
    assert run.output().count('Traceback (most recent call last)') == 1
    if rank == 0:
        [log] = (tmp_path / 'run').glob('*/*.log')
        assert 'the cause of it all' in log.read_text()


def test_a_process_that_is_killed_ends_the_other(config, tmp_path):
    run = runs.start(config, tmp_path / 'run', 'train_cfg.max_epochs=50', world_size=2)
    wait_for_iteration(tmp_path / 'run', 3)
    run.processes[1].kill()
    assert run.wait(60) == [1, -signal.SIGKILL]
    assert 'stopped because another process has failed' in run.output()
