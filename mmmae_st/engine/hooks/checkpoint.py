"""Checkpoints that can be trusted: whole, safe to read, and enough to go on exactly."""

import json
import math
import os
from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import FlexibleRunner, Runner

from mmmae_st.engine.runner.ending import stop_together
from mmmae_st.engine.runner.resume import (
    can_start_mid_epoch,
    check_accumulation,
    check_fills_encoder,
    check_same_run,
    skip_seen_samples,
)
from mmmae_st.fileio.atomic_file import BACKEND, complete, remove_leftovers, temporary_name
from mmmae_st.fileio.plain_data import make_plain, restore_histories
from mmmae_st.registry import HOOKS

ON_ERROR = ('stop', 'continue')
BEST_FILE = 'best_checkpoint.json'


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook`` with checkpoints from which a run goes on exactly.

    - A checkpoint is written under a temporary name, synced and renamed; then ``last_checkpoint``
      is; only then an older one is removed.
    - It holds tensors and plain data only. The logged history is kept.
    - With ``by_epoch=False``, and when a signal stops the run, it is written in mid-epoch: the
      resumed epoch leaves out the samples seen without decoding them (needs ``EpochSampler``).
    - A run resumed with another model, seed or epoch length is refused, as it would not be the
      same run.

    Args:
        interval: Epochs, or iterations, between checkpoints.
        by_epoch: Whether ``interval`` counts epochs.
        max_keep_ckpts: Checkpoints to keep; -1 for all. With 1 there is none to fall back to when
            the newest is damaged.
        save_last: Also save at the end of training.
        save_best: Metric, or list of metrics, whose best checkpoint is kept besides.
        rule: ``'greater'`` or ``'less'``, or a list of them, for ``save_best``; None infers it.
        out_dir: Folder of the checkpoints; None for the work directory.
        on_error: What to do when a checkpoint cannot be written: ``'stop'`` the run, or
            ``'continue'`` and try again at the next one.

    Raises:
        ValueError: For an impossible argument, naming it.
    """

    last_ckpt: str | None

    def __init__(
        self,
        interval: int = 1,
        by_epoch: bool = True,
        max_keep_ckpts: int = 3,
        save_last: bool = True,
        save_best: str | list[str] | None = None,
        rule: str | list[str] | None = None,
        out_dir: str | None = None,
        on_error: str = 'stop',
    ) -> None:
        if interval < 1:
            raise ValueError(f'interval must be at least 1, got {interval}')
        if max_keep_ckpts < 1 and max_keep_ckpts != -1:
            raise ValueError(f'max_keep_ckpts must be at least 1, or -1, got {max_keep_ckpts}')
        if on_error not in ON_ERROR:
            raise ValueError(f'on_error must be one of {ON_ERROR}, got {on_error!r}')
        super().__init__(
            interval=interval,
            by_epoch=by_epoch,
            max_keep_ckpts=max_keep_ckpts,
            save_last=save_last,
            save_best=save_best,
            rule=rule,
            out_dir=out_dir,
            backend_args=dict(backend=BACKEND),
        )
        self.on_error = on_error

    def before_train(self, runner: Runner) -> None:
        """Find out now what would make a checkpoint fail later, and skip what was seen."""
        super().before_train(runner)
        if is_main_process():
            self._probe(runner)
        check_accumulation(runner, self.interval, self.by_epoch)
        if not self.by_epoch and not can_start_mid_epoch(runner):
            raise ValueError(
                f'{type(self).__name__}(by_epoch=False) saves in mid-epoch, where '
                f'{type(runner.train_dataloader.sampler).__name__} cannot start again: use '
                "train_dataloader.sampler=dict(type='EpochSampler')"
            )
        if runner.iter > 0:
            skip_seen_samples(runner)
            self._restore_best(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Leave tensors and plain data only; note what makes an epoch."""
        checkpoint['meta']['iters_per_epoch'] = len(runner.train_dataloader)
        left_out = make_plain(checkpoint)
        if left_out:
            runner.logger.warning(
                'Left out of the checkpoint, being neither tensors nor plain data: '
                + ', '.join(left_out)
            )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Turn histories back; refuse another run, or weights that do not fill the encoder."""
        restore_histories(checkpoint)
        if runner._resume:
            check_same_run(runner, checkpoint)
        elif runner._load_from is not None:
            check_fills_encoder(runner, checkpoint)

    def save_in_mid_epoch(self, runner: Runner, done: int) -> str | None:
        """Save after ``done`` iterations, whatever ``by_epoch`` and ``interval`` say.

        Returns:
            Path of the checkpoint, None when it could not be written.
        """
        filename = f'iter_{done}.pth'
        names = {filename}
        if done == runner.epoch * len(runner.train_dataloader):
            names.add(f'epoch_{runner.epoch}.pth')
        if self.last_ckpt is None or os.path.basename(self.last_ckpt) not in names:
            meta = dict(epoch=runner.epoch, iter=done)
            if not self._save(runner, filename, meta):
                return None
        return self.last_ckpt

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        self._save(runner, self.filename_tmpl.format(step), meta)

    def _save(self, runner: Runner, filename: str, meta: dict) -> bool:
        hub = runner.message_hub
        path = os.path.join(self.out_dir, filename)
        kept = [name for name in hub.get_info('kept_checkpoints', []) if name != filename]
        hub.update_info('kept_checkpoints', [*kept, filename])
        hub.update_info('last_ckpt', path)
        if not self._write(runner, filename, meta):
            hub.update_info('kept_checkpoints', kept)
            hub.update_info('last_ckpt', self.last_ckpt)
            return False
        self.last_ckpt = path
        if self.max_keep_ckpts > 0:
            outdated = kept[: max(len(kept) + 1 - self.max_keep_ckpts, 0)]
            hub.update_info('kept_checkpoints', [*kept[len(outdated) :], filename])
            if is_main_process():
                for name in outdated:
                    _remove(runner, Path(self.out_dir, name))
        return True

    def _write(self, runner: Runner, filename: str, meta: dict, weights_only: bool = False) -> bool:
        """Write a checkpoint on the main process; every process learns whether it worked.

        When each process holds a part of the model, all of them take part.
        """
        problem: list[str | None] = [None]
        path = os.path.join(self.out_dir, filename)
        sharded = isinstance(runner, FlexibleRunner)  # writes without a file backend
        if is_main_process() or sharded:
            try:
                runner.save_checkpoint(
                    self.out_dir,
                    temporary_name(Path(path)).name if sharded else filename,
                    save_optimizer=not weights_only,
                    save_param_scheduler=not weights_only,
                    meta=dict(meta),
                    by_epoch=meta['iter'] == runner.iter,
                    backend_args=self.backend_args,
                )
                if sharded and is_main_process():
                    complete(Path(path))
                if not weights_only and is_main_process():
                    last = os.path.join(runner.work_dir, 'last_checkpoint')
                    self.file_backend.put_text(path, last)
            except OSError as error:
                problem[0] = f'cannot write checkpoint {path}: {error}'
        broadcast_object_list(problem)
        if problem[0] is None:
            return True
        self._report(runner, problem[0])
        return False

    def _report(self, runner: Runner, problem: str) -> None:
        previous = f'The one before, {self.last_ckpt}, is intact' if self.last_ckpt else 'None yet'
        if self.on_error == 'continue':
            if is_main_process():  # the other processes would show errors too
                runner.logger.error(
                    f"{problem}. {previous}. on_error='continue': the run goes on and tries again "
                    'at the next checkpoint.'
                )
            return
        stop_together(RuntimeError(f"{problem}. {previous}. on_error='stop': the run ends here."))

    def _probe(self, runner: Runner) -> None:
        folder = self.out_dir
        try:
            os.makedirs(folder, exist_ok=True)
            remove_leftovers(folder)
            probe = os.path.join(folder, '.write_probe')
            self.file_backend.put(b'', probe)
            os.remove(probe)
        except OSError as error:
            raise RuntimeError(f'checkpoints cannot be written to {folder}: {error}') from error

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Keep the best checkpoint of each metric; the old one goes when the new one is whole."""
        if not self.save_best:
            return
        if 'auto' in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        best = dict(runner.message_hub.get_info('best_checkpoints', {}))
        step = runner.epoch if self.by_epoch else runner.iter
        meta = dict(epoch=runner.epoch, iter=runner.iter)
        for metric, rule in zip(self.key_indicators, self.rules, strict=True):
            if metric not in metrics:
                raise ValueError(f'save_best={metric!r} is not among the metrics {sorted(metrics)}')
            score, old = float(metrics[metric]), best.get(metric)
            if not math.isfinite(score):
                continue
            if old is not None and not self.rule_map[rule](score, old['score']):
                continue
            name = f'best_{metric}_{self.filename_tmpl.format(step)}'.replace('/', '_')
            if not self._write(runner, name, meta, weights_only=True):
                continue
            best[metric] = dict(score=score, path=os.path.join(self.out_dir, name))
            runner.message_hub.update_info('best_checkpoints', dict(best))
            if is_main_process():
                text = json.dumps(best, indent=2)
                self.file_backend.put_text(text, os.path.join(self.out_dir, BEST_FILE))
                if old is not None and old['path'] != best[metric]['path']:
                    _remove(runner, Path(old['path']))
            runner.logger.info(f'Best {metric} so far, {score:.4f}: {best[metric]["path"]}')

    def _restore_best(self, runner: Runner) -> None:
        """A best checkpoint is written after the regular one, which therefore does not know it."""
        path = Path(self.out_dir, BEST_FILE)
        if self.save_best and path.exists():
            runner.message_hub.update_info('best_checkpoints', json.loads(path.read_text()))


def _remove(runner: Runner, path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:  # no reason to stop: the next save tells whether the disk is lost
        runner.logger.warning(f'cannot remove {path}: {error}')
