import argparse
import errno
import os
import pickle
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader, load_checkpoint
from support.scripted import make_runner

from mmmae_st.engine.hooks.checkpoint import SafeCheckpointHook
from mmmae_st.engine.runner.resume import check_resumable, find_resumable, set_resume
from mmmae_st.fileio.atomic_file import AtomicBackend
from mmmae_st.fileio.plain_data import make_plain, restore_histories
from mmmae_st.fileio.safe_loading import use_safe_loading


def train(folder, iters=4, resume=False, **args):
    hook = dict(type='SafeCheckpointHook', **{'by_epoch': False, **args.pop('hook', {})})
    hooks = dict(checkpoint=hook, **args.pop('hooks', {}))
    runner = make_runner(
        folder, lambda step: 1.0 + step, iters=iters, hooks=hooks, resume=resume,
        load_from=find_resumable(str(folder)) if resume is True else None, **args,
    )  # fmt: skip
    runner.train()
    return runner


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file() and path.suffix != '.py'}


class TestPlainData:
    def test_everything_but_tensors_and_plain_data_goes(self):
        checkpoint = dict(
            meta=dict(path=Path('a/b'), number=np.float64(0.5), thing=object(), seed=np.int64(3)),
            message_hub=dict(
                log_scalars={'train/loss': HistoryBuffer([1.5, 2.5], [1, 2])},
                runtime_info=dict(array=np.arange(3), kinds={'b'}, pair=(1, lambda: 0)),
            ),
        )
        left_out = make_plain(checkpoint)
        assert checkpoint['meta'] == dict(path='a/b', number=0.5, seed=3)
        assert checkpoint['message_hub']['runtime_info'] == dict(
            array=[0, 1, 2], kinds=['b'], pair=(1,)
        )
        assert [text.split(':')[0] for text in left_out] == [
            'meta.thing', 'message_hub.runtime_info.pair[1]',
        ]  # fmt: skip

    def test_state_that_is_needed_is_not_left_out(self):
        with pytest.raises(TypeError, match=r'optimizer\.state\.x: builtins\.object'):
            make_plain(dict(optimizer=dict(state=dict(x=object()))))

    def test_histories_come_back_with_their_types(self):
        history = HistoryBuffer([1.5, 2.5], [1, 2], max_length=7)
        checkpoint = dict(message_hub=dict(log_scalars={'train/loss': history}))
        make_plain(checkpoint)
        restore_histories(checkpoint)
        restored = checkpoint['message_hub']['log_scalars']['train/loss']
        for ours, theirs in zip(restored.data, history.data, strict=True):
            assert ours.dtype == theirs.dtype and (ours == theirs).all()
        restored.update(4.0)
        assert restored.max_length == 7 and restored.mean() == pytest.approx(8.0 / 4)

    def test_versions_of_modules_stay(self):
        state = torch.nn.BatchNorm1d(2).state_dict()
        checkpoint = dict(state_dict=state)
        make_plain(checkpoint)
        assert checkpoint['state_dict']._metadata['']['version'] == 2


class TestFiles:
    def test_checkpoint_loads_safely_and_keeps_the_history(self, tmp_path):
        train(tmp_path)
        content = torch.load(tmp_path / 'iter_4.pth', weights_only=True)
        scalars = content['message_hub']['log_scalars']
        assert scalars['train/loss']['log'].tolist() == [1.0, 2.0, 3.0, 4.0]

    def test_history_survives_a_resume(self, tmp_path):
        train(tmp_path)
        runner = train(tmp_path, epochs=2, resume=True)
        assert runner.iter == 8
        history = runner.message_hub.get_scalar('train/loss').data[0]
        assert history.tolist() == [1.0, 2.0, 3.0, 4.0] * 2

    def test_only_the_newest_are_kept(self, tmp_path):
        train(tmp_path, hook=dict(max_keep_ckpts=2))
        assert names(tmp_path) == {'iter_3.pth', 'iter_4.pth', 'last_checkpoint'}

    def test_rotation_goes_on_after_a_resume(self, tmp_path):
        train(tmp_path, hook=dict(max_keep_ckpts=2))
        train(tmp_path, hook=dict(max_keep_ckpts=2), epochs=2, resume=True)
        assert names(tmp_path) == {'iter_7.pth', 'iter_8.pth', 'last_checkpoint'}

    def test_an_older_one_goes_after_the_new_one_is_there(self, tmp_path, monkeypatch):
        seen = []
        unlink = Path.unlink

        def watch(path, missing_ok=False):
            if path.suffix == '.pth':
                seen.append((path.name, (tmp_path / 'last_checkpoint').read_text()))
            unlink(path, missing_ok)

        monkeypatch.setattr(Path, 'unlink', watch)
        train(tmp_path, hook=dict(max_keep_ckpts=1))
        assert [name for name, _ in seen] == ['iter_1.pth', 'iter_2.pth', 'iter_3.pth']
        assert [os.path.basename(last) for _, last in seen] == [
            'iter_2.pth', 'iter_3.pth', 'iter_4.pth',
        ]  # fmt: skip

    def test_a_write_is_whole_or_nothing(self, tmp_path, monkeypatch):
        backend, target = AtomicBackend(), tmp_path / 'file'
        backend.put(b'old', target)

        def full(descriptor):
            raise OSError(errno.ENOSPC, 'No space left on device')

        monkeypatch.setattr(os, 'fsync', full)
        with pytest.raises(OSError, match='No space left'):
            backend.put(b'new', target)
        assert target.read_bytes() == b'old' and names(tmp_path) == {'file'}


class TestTrouble:
    def fill_disk(self, monkeypatch, at):
        put = AtomicBackend.put

        def failing(self, obj, filepath):
            if str(filepath).endswith(at):
                raise OSError(errno.ENOSPC, 'No space left on device')
            put(self, obj, filepath)

        monkeypatch.setattr(AtomicBackend, 'put', failing)

    def test_a_full_disk_stops_the_run_and_the_one_before_is_intact(self, tmp_path, monkeypatch):
        self.fill_disk(monkeypatch, at='iter_3.pth')
        message = r"iter_3\.pth: .*No space left.*iter_2\.pth, is intact.*on_error='stop'"
        with pytest.raises(RuntimeError, match=message):
            train(tmp_path)
        assert find_resumable(str(tmp_path)) == str(tmp_path / 'iter_2.pth')

    def test_or_the_run_goes_on_and_says_so(self, tmp_path, monkeypatch, capsys):
        self.fill_disk(monkeypatch, at='iter_3.pth')
        train(tmp_path, hook=dict(on_error='continue', max_keep_ckpts=2))
        assert names(tmp_path) == {'iter_2.pth', 'iter_4.pth', 'last_checkpoint'}
        log = capsys.readouterr().out
        assert 'No space left' in log and "on_error='continue': the run goes on" in log

    def test_an_old_one_that_cannot_be_removed_stops_nothing(self, tmp_path, monkeypatch, capsys):
        def refuse(path, missing_ok=False):
            raise OSError(errno.EROFS, 'Read-only file system')

        with monkeypatch.context() as patch:
            patch.setattr(Path, 'unlink', refuse)
            train(tmp_path, hook=dict(max_keep_ckpts=3))
        assert {f'iter_{i}.pth' for i in (1, 2, 3, 4)} < names(tmp_path)
        assert capsys.readouterr().out.count('cannot remove') == 1

    def test_a_folder_that_cannot_be_written_is_found_out_at_the_start(self, tmp_path):
        out_dir = tmp_path / 'file'
        out_dir.write_text('not a folder')
        with pytest.raises(RuntimeError, match='checkpoints cannot be written to'):
            train(tmp_path / 'run', hook=dict(out_dir=str(out_dir)))

    def test_best_checkpoint_stays_until_the_better_one_is_written(self, tmp_path, monkeypatch):
        hook = SafeCheckpointHook(save_best='score', rule='greater')
        runner = train(tmp_path)
        hook.before_train(runner)
        runner.train_loop._epoch = 1
        hook.after_val_epoch(runner, dict(score=0.5))
        runner.train_loop._epoch = 2
        self.fill_disk(monkeypatch, at='best_score_epoch_2.pth')
        with pytest.raises(RuntimeError, match='No space left'):
            hook.after_val_epoch(runner, dict(score=0.7))
        assert 'best_score_epoch_1.pth' in names(tmp_path)
        monkeypatch.undo()
        hook.after_val_epoch(runner, dict(score=0.7))
        hook.after_val_epoch(runner, dict(score=0.6))
        best = {name for name in names(tmp_path) if name.startswith('best_score')}
        assert best == {'best_score_epoch_2.pth'}
        resumed = SafeCheckpointHook(save_best='score', rule='greater')
        runner.message_hub.pop_info('best_checkpoints')
        runner.train_loop._epoch = 1
        resumed.before_train(runner)
        resumed.after_val_epoch(runner, dict(score=0.65))
        assert {name for name in names(tmp_path) if name.startswith('best_score')} == best


class TestFindResumable:
    def test_nothing_there(self, tmp_path):
        assert find_resumable(str(tmp_path)) is None
        assert find_resumable(str(tmp_path / 'missing')) is None

    @pytest.mark.parametrize('damage', ['cut', 'flip', 'empty', 'gone', 'text'])
    def test_a_damaged_newest_is_passed_over(self, tmp_path, damage):
        train(tmp_path)
        newest = tmp_path / 'iter_4.pth'
        content = newest.read_bytes()
        middle = content.index(b'log_scalars')
        if damage == 'gone':
            newest.unlink()
        else:
            newest.write_bytes(
                dict(
                    cut=content[:-40],
                    flip=content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :],
                    empty=b'',
                    text=b'hello',
                )[damage]
            )
        assert find_resumable(str(tmp_path)) == str(tmp_path / 'iter_3.pth')

    def test_a_moved_work_directory(self, tmp_path):
        train(tmp_path / 'old')
        (tmp_path / 'old').rename(tmp_path / 'new')
        assert find_resumable(str(tmp_path / 'new')) == str(tmp_path / 'new' / 'iter_4.pth')

    def test_nothing_sound_is_an_error_and_no_fresh_start(self, tmp_path):
        train(tmp_path, iters=2)
        for path in tmp_path.glob('*.pth'):
            path.write_bytes(b'')
        with pytest.raises(RuntimeError, match='none of the 2 checkpoints'):
            find_resumable(str(tmp_path))

    def test_a_foreign_pickle_is_refused_by_name(self, tmp_path):
        class Runs:
            def __reduce__(self):
                return os.system, (f'touch {tmp_path}/ran',)

        torch.save(dict(state_dict={}, meta=Runs()), tmp_path / 'iter_1.pth')
        with pytest.raises(ValueError, match=r'iter_1\.pth was refused: .*system would'):
            check_resumable(tmp_path / 'iter_1.pth')
        (tmp_path / 'iter_2.pth').write_bytes(pickle.dumps(Runs()))
        with pytest.raises(ValueError, match=r'iter_2\.pth'):
            check_resumable(tmp_path / 'iter_2.pth')
        assert not (tmp_path / 'ran').exists()

    def test_weights_alone_are_no_run(self, tmp_path):
        torch.save(dict(state_dict={}, meta={}), tmp_path / 'weights.pth')
        with pytest.raises(ValueError, match=r'optimizer, message_hub missing\): .* use load_from'):
            check_resumable(tmp_path / 'weights.pth')


class TestSetResume:
    """``--resume``"""

    def config(self, folder):
        return Config(dict(work_dir=str(folder), resume=False, load_from='pretrained.pth'))

    def test_the_first_submission_starts_from_load_from(self, tmp_path):
        cfg = self.config(tmp_path)
        set_resume(cfg)
        assert cfg.resume is False and cfg.load_from == 'pretrained.pth'

    def test_the_next_one_goes_on(self, tmp_path):
        train(tmp_path)
        cfg = self.config(tmp_path)
        set_resume(cfg)
        assert cfg.resume is True and cfg.load_from == str(tmp_path / 'iter_4.pth')

    def test_a_file_that_is_named_must_be_sound(self, tmp_path):
        train(tmp_path)
        cfg = self.config(tmp_path)
        set_resume(cfg, str(tmp_path / 'iter_3.pth'))
        assert cfg.load_from == str(tmp_path / 'iter_3.pth')
        (tmp_path / 'iter_3.pth').write_bytes(b'PK')
        with pytest.raises(ValueError, match=r'iter_3\.pth is damaged'):
            set_resume(cfg, str(tmp_path / 'iter_3.pth'))
        with pytest.raises(FileNotFoundError, match=r'iter_9\.pth'):
            set_resume(cfg, str(tmp_path / 'iter_9.pth'))


class TestSafeLoading:
    @pytest.fixture(autouse=True)
    def restore_loader(self, monkeypatch):
        monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))

    def test_mmengine_refuses_what_runs_code_unless_it_is_trusted(self, tmp_path):
        path = tmp_path / 'foreign.pth'
        torch.save(dict(state_dict={}, args=argparse.Namespace(a=1)), path)
        use_safe_loading()
        with pytest.raises(ValueError, match=r'argparse\.Namespace would .*--trust-checkpoint'):
            load_checkpoint(torch.nn.Linear(1, 1), str(path))
        use_safe_loading([str(path)])
        load_checkpoint(torch.nn.Linear(1, 1), str(path))

    def test_what_is_downloaded_cannot_run_code_either(self, tmp_path, monkeypatch):
        monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
        torch.save(dict(state_dict={}, args=argparse.Namespace(a=1)), tmp_path / 'foreign.pth')
        torch.save(torch.nn.Linear(1, 1).state_dict(), tmp_path / 'plain.pth')
        use_safe_loading()
        handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
        with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            address = f'http://127.0.0.1:{server.server_port}'
            load_checkpoint(torch.nn.Linear(1, 1), f'{address}/plain.pth', strict=True)
            with pytest.raises(ValueError, match=r'foreign\.pth was refused: .*\.Namespace would'):
                load_checkpoint(torch.nn.Linear(1, 1), f'{address}/foreign.pth')
            server.shutdown()


class TestSameRun:
    def test_another_epoch_length(self, tmp_path):
        train(tmp_path, iters=4)
        with pytest.raises(ValueError, match='has 4 iterations, one of this run 5'):
            train(tmp_path, iters=5, resume=True)

    def test_another_model(self, tmp_path):
        train(tmp_path)
        path = tmp_path / 'iter_4.pth'
        content = torch.load(path, weights_only=True)
        content['state_dict'] = {'other': torch.zeros(2)}
        torch.save(content, path)
        with pytest.raises(ValueError, match=r'another model: 2 parameters differ.*load_from'):
            train(tmp_path, resume=True)

    def test_another_seed(self, tmp_path):
        train(tmp_path)
        path = tmp_path / 'iter_4.pth'
        content = torch.load(path, weights_only=True)
        content['meta']['seed'] = 5
        torch.save(content, path)
        with pytest.raises(ValueError, match=r'randomness\.seed=5, this one 0'):
            train(tmp_path, resume=True)


class TestAccumulation:
    wrapper = dict(optimizer=dict(type='SGD', lr=0.0), accumulative_counts=3)

    def test_a_checkpoint_between_updates_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match='accumulative_counts=3'):
            train(tmp_path, hook=dict(interval=2), optim_wrapper=dict(self.wrapper))
        with pytest.raises(ValueError, match='every 4 iterations'):
            train(tmp_path, hook=dict(by_epoch=True), optim_wrapper=dict(self.wrapper))
        train(tmp_path, hook=dict(interval=3), optim_wrapper=dict(self.wrapper))


def test_mid_epoch_needs_a_sampler_that_can_start_there(tmp_path):
    runner = make_runner(
        tmp_path, hooks=dict(checkpoint=dict(type='SafeCheckpointHook', by_epoch=False))
    )
    runner._train_dataloader['sampler'] = dict(type='DefaultSampler', shuffle=True)
    with pytest.raises(ValueError, match=r'DefaultSampler cannot start again.*EpochSampler'):
        runner.train()


@pytest.mark.parametrize(
    'args', [dict(interval=0), dict(max_keep_ckpts=0), dict(on_error='ignore')]
)
def test_bad_arguments_are_named(args):
    with pytest.raises(ValueError, match=next(iter(args))):
        SafeCheckpointHook(**args)
