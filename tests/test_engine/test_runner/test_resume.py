"""What becomes of a work directory that holds a run."""

import pytest
from mmengine.config import Config
from support.smoke_runs import call_train, start

from mmmae_st.engine.runner.resume import (
    ResumeRefusedError,
    nothing_left_behind,
    require_own_work_dir,
)


def test_a_folder_with_checkpoints_belongs_to_the_run_that_goes_on(tmp_path):
    mine, other = tmp_path / 'mine', tmp_path / 'other'
    mine.mkdir()
    require_own_work_dir(Config(dict(work_dir=str(mine))))
    (mine / 'epoch_1.pth').touch()
    (mine / 'last_checkpoint').write_text(str(mine / 'epoch_1.pth'))
    with pytest.raises(ValueError, match=r'mine holds .* another run, .*epoch_1\.pth: .* --resume'):
        require_own_work_dir(Config(dict(work_dir=str(mine))))
    require_own_work_dir(Config(dict(work_dir=str(other))))
    resumed = dict(work_dir=str(mine), resume=True)
    require_own_work_dir(Config(dict(resumed, load_from=str(mine / 'epoch_1.pth'))))
    with pytest.raises(ValueError, match='another run'):
        require_own_work_dir(Config(dict(resumed, load_from=str(other / 'epoch_2.pth'))))


@pytest.mark.parametrize(('error', 'left'), [(ResumeRefusedError, False), (RuntimeError, True)])
def test_a_refused_run_leaves_nothing_behind(tmp_path, error, left):
    (tmp_path / 'config.py').write_text('a = 1')
    with pytest.raises(error), nothing_left_behind(str(tmp_path)):
        (tmp_path / 'config.py').write_text('a = 2')
        (tmp_path / 'log').mkdir()
        (tmp_path / 'log' / 'text').touch()
        raise error
    assert (tmp_path / 'log').exists() == left
    assert (tmp_path / 'config.py').read_text() == ('a = 2' if left else 'a = 1')


@pytest.mark.slow
def test_the_command_line_keeps_runs_apart(data_root, tmp_path):
    files = dict(data_root=data_root, work_dir=tmp_path / 'run')
    first = call_train('train_cfg.max_epochs=1', **files)
    assert first.returncode == 0, first.stderr
    lines = (first.stdout + first.stderr).splitlines()
    assert len(lines) < 15 and not any('paramwise_options' in line for line in lines), lines
    logs = [path.read_text() for path in (tmp_path / 'run').glob('*/*.log')]
    assert 'Config:' in logs[0] and 'Hooks will be executed' in logs[0]

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / 'run').rglob('*')}
    again = start('train_cfg.max_epochs=1', **files)
    assert again.wait() == [1] and 'holds the checkpoints of another run' in again.output()
    other_seed = start('--resume', 'randomness.seed=3', **files)
    assert other_seed.wait() == [1]
    assert 'the run to resume has randomness.seed=0' in other_seed.output()
    none = start('--resume', 'none.pth', data_root=data_root, work_dir=tmp_path / 'new')
    assert none.wait() == [1] and not (tmp_path / 'new').exists()
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / 'run').rglob('*')}
    assert set(after) == set(before)
    assert all(after[path] == before[path] for path in before if path.suffix == '.pth')
