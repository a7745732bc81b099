"""Going on with a run: from which checkpoint, and whether it is the same run.

Also what a checkpoint named by ``load_from`` has to hold.
"""

import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from logging import WARNING
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmmae_st.engine.runner.wrapped_model import is_sharded, unwrapped, whole_state_dict
from mmmae_st.fileio.safe_loading import CheckpointError, load_plain
from mmmae_st.models import SpacetimeViT
from mmmae_st.models.weights import parse_config

_NAME = re.compile(r'(epoch|iter)_(\d+)\.pth')


class ResumeRefusedError(ValueError):
    """The run to resume is another one."""


def find_resumable(work_dir: str) -> str | None:
    """Newest checkpoint of a run that can be read in full.

    Args:
        work_dir: Work directory of the run.

    Returns:
        Its path; None when the run has no checkpoint yet. Damaged ones are named in the log and
        the one before is taken.

    Raises:
        RuntimeError: If there are checkpoints but none is sound: to start over would lose the run.
    """
    problems = []
    for path in _newest_first(Path(work_dir)):
        try:
            check_resumable(path)
        except (OSError, ValueError) as error:
            problems.append(str(error))
            print_log(f'{error}. Trying the one before.', logger='current', level=WARNING)
            continue
        return str(path)
    if problems:
        raise RuntimeError(
            f'none of the {len(problems)} checkpoints in {work_dir} can be resumed: '
            + '; '.join(problems)
        )
    return None


def check_resumable(path: str | Path) -> None:
    """Raise ValueError, naming the file and the cause, unless a run can be resumed from it."""
    content = load_plain(path, mmap=True)
    needed = ('meta', 'state_dict', 'optimizer', 'message_hub')
    missing = [key for key in needed if not isinstance(content, dict) or key not in content]
    if missing:
        raise CheckpointError(
            f'checkpoint {path} holds no training state ({", ".join(missing)} missing): to start '
            'from its weights use load_from'
        )
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()  # compares checksums
    if damaged is not None:
        raise ValueError(f'checkpoint {path} is damaged: wrong checksum in {damaged}')


def set_resume(cfg: Config, checkpoint: str = 'auto', trusted: Sequence[str] = ()) -> None:
    """Let a config go on with its run, in place.

    Without a checkpoint in the work directory yet, ``'auto'`` changes nothing: the run starts, from
    ``load_from`` if that is given. So the same command serves every time a job is submitted.

    Args:
        cfg: A config with ``work_dir``.
        checkpoint: A file, or ``'auto'`` for the newest sound one of the work directory.
        trusted: Files that may run code; they are not looked into beforehand.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file named is no checkpoint of a run, or damaged.
        RuntimeError: See ``find_resumable``.
    """
    if checkpoint == 'auto':
        found = find_resumable(cfg.work_dir)
        if found is None:
            text = f'--resume: no checkpoint in {cfg.work_dir} yet, the run starts'
            print_log(text, logger='current')
            return
        checkpoint = found
    elif checkpoint not in trusted:
        check_resumable(checkpoint)
    cfg.resume = True
    cfg.load_from = checkpoint


def require_own_work_dir(cfg: Config) -> None:
    """Raise ValueError if the work directory holds checkpoints of a run that does not go on."""
    held = _newest_first(Path(cfg.work_dir))
    if not held:
        return
    if cfg.get('resume') and held[0].resolve().parent == Path(cfg.load_from).resolve().parent:
        return
    raise ValueError(
        f'{cfg.work_dir} holds the checkpoints of another run, the newest of them {held[0].name}: '
        'go on with that run by --resume, or give this one a folder of its own by --work-dir'
    )


@contextmanager
def nothing_left_behind(work_dir: str) -> Iterator[None]:
    """Take back what the block wrote to the work directory if the run to resume is refused.

    Raises:
        ResumeRefusedError: As the block does.
    """
    folder = Path(work_dir)
    before = set(folder.glob('*'))
    configs = {path: path.read_bytes() for path in folder.glob('*.py')}
    try:
        yield
    except ResumeRefusedError:
        if is_main_process():
            for path in set(folder.glob('*')) - before:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            for path, content in configs.items():
                path.write_bytes(content)
        raise


def _newest_first(work_dir: Path) -> list[Path]:
    pointer = work_dir / 'last_checkpoint'
    last = Path(pointer.read_text().strip()) if pointer.exists() else None
    folder = last.parent if last is not None and last.parent.is_dir() else work_dir
    found = [path for path in folder.glob('*.pth') if _NAME.fullmatch(path.name)]
    found.sort(key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)
    if last is not None and last.exists():
        found = [last, *(path for path in found if path != last)]
    elif last is not None and found:
        print_log(f'{last} is named in {pointer} but not there', logger='current', level=WARNING)
    return found


def can_start_mid_epoch(runner: Runner) -> bool:
    """Whether the training data can leave out the first samples of an epoch."""
    loader = runner.train_dataloader
    return hasattr(loader.sampler, 'skip') and loader.batch_size is not None


def skip_seen_samples(runner: Runner) -> None:
    """Let the epoch that a run resumes in start after the batches already seen.

    Raises:
        ResumeRefusedError: If that cannot be done.
    """
    loader = runner.train_dataloader
    if not isinstance(runner.train_loop, EpochBasedTrainLoop):
        return
    seen = runner.iter - runner.epoch * len(loader)
    if seen == 0:
        return
    if not can_start_mid_epoch(runner):
        raise ResumeRefusedError(
            f'the checkpoint is from the middle of an epoch, where '
            f'{type(loader.sampler).__name__} cannot start: use '
            "train_dataloader.sampler=dict(type='EpochSampler')"
        )
    loader.sampler.skip(min(seen * loader.batch_size, len(loader.sampler)))
    runner.logger.info(
        f'Epoch {runner.epoch + 1} goes on after iteration {seen} of {len(loader)}; the samples '
        'before are not decoded again.'
    )


def check_accumulation(runner: Runner, interval: int, by_epoch: bool) -> None:
    """Raise ValueError if checkpoints would fall between two updates of accumulated steps."""
    steps = accumulated_steps(runner)
    iters = interval * len(runner.train_dataloader) if by_epoch else interval
    if iters % steps:
        raise ValueError(
            f'a checkpoint every {iters} iterations would fall between two updates, of '
            f'accumulative_counts={steps} iterations each, and lose gradients: give EpochSampler '
            f'multiple_of=batch_size * {steps}, or set default_hooks.checkpoint.by_epoch=False and '
            f'an interval that is a multiple of {steps}'
        )


def check_same_run(runner: Runner, checkpoint: dict) -> None:
    """Raise ResumeRefusedError unless seed, epoch length and model are those of the checkpoint."""
    meta = checkpoint['meta']
    if meta.get('seed') != runner.seed:
        raise ResumeRefusedError(
            f'the run to resume has randomness.seed={meta.get("seed")}, this one '
            f'{runner.seed}: give the same'
        )
    length = len(runner.train_dataloader)
    if meta.get('iters_per_epoch', length) != length:
        raise ResumeRefusedError(
            f'an epoch of the run to resume has {meta["iters_per_epoch"]} iterations, one of this '
            f'run {length}: resume with the same data, batch size and number of processes, or '
            'start a new run from its weights with load_from'
        )
    warn_of_other_optimizer(runner, meta.get('cfg'))
    ours, theirs = _shapes(whole_state_dict(runner.model)), _shapes(checkpoint['state_dict'])
    if is_sharded(runner.model) and not is_main_process():
        return
    differing = sorted(name for name in ours | theirs if ours.get(name) != theirs.get(name))
    if differing:
        raise ResumeRefusedError(
            f'the run to resume trains another model: {len(differing)} parameters differ, for '
            f'example {", ".join(differing[:3])}. To start from its weights use load_from'
        )


def warn_of_other_optimizer(runner: Runner, config_text: Any) -> None:
    """Warn of changed optimiser arguments: rates and decays come from the checkpoint."""
    try:
        before = parse_config(config_text).optim_wrapper.optimizer.to_dict()
        now = runner.cfg.optim_wrapper.optimizer.to_dict()
    except (AttributeError, TypeError, ValueError):
        return  # nothing to compare
    changed = [f'{key}={now.get(key)!r}' for key in now | before if now.get(key) != before.get(key)]
    if changed:
        runner.logger.warning(
            f'optim_wrapper.optimizer was changed ({", ".join(changed)}), but a resumed run takes '
            f'what the checkpoint holds ({before}): to train with other values start a new run '
            'from its weights with load_from'
        )


def check_fills_encoder(runner: Runner, checkpoint: dict) -> None:
    """Raise ValueError if weights to start from leave a part of a ``SpacetimeViT`` as drawn.

    mmengine loads what fits and goes on. A head may be another one; an encoder that is random, or
    has random positions, is a mistake.
    """
    if not isinstance(getattr(unwrapped(runner.model), 'backbone', None), SpacetimeViT):
        return
    shapes = _shapes(whole_state_dict(runner.model))
    if is_sharded(runner.model) and not is_main_process():
        return
    theirs = _shapes(checkpoint.get('state_dict', checkpoint))
    ours = [name for name in shapes if name.startswith('backbone.')]
    unfilled = [name.removeprefix('backbone.') for name in ours if theirs.get(name) != shapes[name]]
    if unfilled:
        raise ValueError(
            f'load_from would leave {len(unfilled)} of {len(ours)} parameters of the encoder as '
            f'they were drawn, for example {", ".join(unfilled[:3])}. For a file with other names, '
            'or other numbers of frames or patches, use model.backbone.init_cfg=dict(type='
            "'Pretrained', checkpoint=...), which translates and resamples"
        )


def _shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {
        name.removeprefix('module.'): tuple(value.shape)
        for name, value in state.items()
        if hasattr(value, 'shape')
    }


def at_update(runner: Runner) -> bool:
    """Whether the iteration just done updated the weights: no gradient waits to be used."""
    return runner.optim_wrapper.should_update()


def accumulated_steps(runner: Runner) -> int:
    """Iterations whose gradients make one update."""
    return runner.optim_wrapper._accumulative_counts  # mmengine 0.10 has no public name for it
