"""A run on packed videos is the run on their files, also when it is killed and resumed."""

from functools import partial
from pathlib import Path

import pytest
from support import runs
from support.packed import pack
from support.runs import EXACT_HISTORIES, LAST, assert_same_bits, final_state, samples


def steps(work_dir):
    """What each iteration was given, without the folders of the videos."""
    found = {line['iter']: line for line in samples(work_dir) if 'iter' in line}
    return {
        number: dict(line, paths=[Path(path).name for path in line['paths']])
        for number, line in found.items()
    }


@pytest.mark.parametrize('workers', [0, 2])
def test_packed_videos_train_the_same_model(config, tmp_path, videos, workers):
    index = pack(videos / 'train', tmp_path / 'shards', shard_bytes=20_000)
    assert len(list(index.parent.glob('*.tar'))) > 2
    files, packed = tmp_path / 'files', tmp_path / 'packed'
    run = runs.start(config, files)
    assert run.wait() == [0], run.output()

    options = (
        f'train_dataloader.dataset.ann_file={index}',
        f'train_dataloader.num_workers={workers}',
    )
    run = runs.start(config, packed, *options, saboteur=partial(runs.die_inside_save, 3, 0.5))
    assert run.wait() == [-9]
    run = runs.start(config, packed, *options, arguments=['--resume'])
    assert run.wait() == [0], run.output()
    assert 'resumed epoch: 0, iter: 2' in run.output()

    ours, theirs = final_state(packed, LAST), final_state(files, LAST)
    for key in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_same_bits(ours[key], theirs[key], key)
    logs = [state['message_hub']['log_scalars'] for state in (ours, theirs)]
    for key in EXACT_HISTORIES:
        assert_same_bits(logs[0][key]['log'], logs[1][key]['log'], key)
        assert len(logs[0][key]['log']) == LAST
    assert steps(packed) == steps(files)
