"""Two processes do what one does, and end together."""

import re
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from support import runs
from support.recognition import tiny_frozen_config
from support.runs import signal_at

from mmmae_st.registry import MODELS

pytestmark = pytest.mark.slow

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


def test_memory_that_is_full_is_told_in_one_line(config, tmp_path):
    run = runs.start(config, tmp_path / 'run', saboteur=runs.fill_memory)
    assert run.wait() == [1]
    [told] = [line for line in run.output().splitlines() if 'out of memory' in line]
    assert 'error: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has' in told
    assert '1.52 GiB is free. Halve batch_size of the dataloader and, in training, double' in told
    assert 'Traceback' not in run.output()


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
    saboteur = partial(signal_at, signal.SIGKILL, 3, rank=1)
    run = runs.start(config, tmp_path / 'run', world_size=2, saboteur=saboteur)
    assert run.wait(60) == [1, -signal.SIGKILL]
    assert 'stopped because another process has failed' in run.output()


def write_frozen_config(folder: Path, videos: Path) -> tuple[Path, Path]:
    """A frozen evaluation of five and three labelled videos, and its checkpoint."""
    cfg = tiny_frozen_config(videos)
    for name, numbers in (('train', range(5)), ('test', range(5, 8))):
        lines = [f'train/{i}.mp4 {i % 2}' for i in numbers]
        (folder / f'{name}.txt').write_text('\n'.join(lines))
        loader = cfg[f'{name}_dataloader']
        loader.batch_size = 2
        loader.dataset.update(ann_file=str(folder / f'{name}.txt'), data_prefix=dict(video=''))
    cfg.dump(folder / 'frozen.py')
    torch.manual_seed(0)
    torch.save(MODELS.build(cfg.backbone).state_dict(), folder / 'encoder.pth')
    return folder / 'frozen.py', folder / 'encoder.pth'


def start_frozen(config: Path, checkpoint: Path, work_dir: Path, world_size: int) -> runs.Run:
    arguments = [str(checkpoint), 'knn', 'linear', 'attentive']
    script = 'tools/frozen_eval.py'
    return runs.start(config, work_dir, arguments=arguments, world_size=world_size, script=script)


def test_neighbours_and_probes_of_two_processes_are_those_of_one(tmp_path, videos):
    config, checkpoint = write_frozen_config(tmp_path, videos)
    tables, features = [], []
    for world_size in (1, 2):
        work_dir = tmp_path / f'processes_{world_size}'
        run = start_frozen(config, checkpoint, work_dir, world_size)
        assert run.wait() == [0] * world_size, run.output()
        log = (work_dir / 'frozen_eval.log').read_text()
        tables.append(log.split('in percent:')[1])
        features.append(
            {path.parent.name: np.load(path) for path in work_dir.glob('features/*/values.npy')}
        )
    assert tables[0] == tables[1]
    assert len(re.findall(r'^(?:k-NN|linear|attentive) .*\d$', tables[0], re.M)) == 2 + 4 + 3
    assert features[0].keys() == features[1].keys() and len(features[0]) == 4
    for name, values in features[0].items():
        np.testing.assert_allclose(features[1][name], values, rtol=0, atol=1e-6)
        assert values.any(axis=tuple(range(1, values.ndim))).all()  # no video was left out

    for done in work_dir.glob('features/*/done.json'):  # one failed: a process has nothing to do
        done.write_text(done.read_text().replace('"failed": []', '"failed": [1]'))
        np.load(done.with_name('values.npy'), mmap_mode='r+')[1] = 0
    run = start_frozen(config, checkpoint, work_dir, 2)
    assert run.wait(60) == [0, 0], run.output()
    for name, values in features[0].items():
        again = np.load(work_dir / 'features' / name / 'values.npy')
        np.testing.assert_allclose(again, values, rtol=0, atol=1e-6)


def test_an_error_in_one_process_of_the_evaluation_ends_both(tmp_path, videos):
    config, checkpoint = write_frozen_config(tmp_path, videos)
    text = (tmp_path / 'test.txt').read_text().replace('train/6.mp4', 'train/gone.mp4')
    (tmp_path / 'test.txt').write_text(text)
    began = time.monotonic()
    run = start_frozen(config, checkpoint, tmp_path / 'run', 2)
    codes = run.wait(60)
    assert time.monotonic() - began < 60 and 0 not in codes, run.output()
    assert run.output().count('cannot read') == 1
    assert 'gone.mp4' in run.output()
