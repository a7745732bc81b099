"""How a run of several processes ends: all of them, soon, with the cause given once."""

import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR, FileHandler, StreamHandler
from typing import NoReturn

from mmengine.dist import get_rank, get_world_size, is_main_process
from mmengine.logging import MMLogger, print_log

from mmmae_st.datasets.annotations import AnnotationError, DataNotFoundError
from mmmae_st.datasets.video_dataset import UnreadableVideoError
from mmmae_st.engine.runner.resume import ResumeRefusedError
from mmmae_st.fileio.safe_loading import CheckpointError, NoCheckpointError
from mmmae_st.memory import full_memory

# What a process hears from the collective it waits in when another one has died.
_ECHOES = (
    'connection closed by peer',
    'connection reset by peer',
    'broken pipe',
    'remote process has terminated',
    'socket timeout',
    'timed out waiting',
)
# Their message says all that is to be mended; where it was raised says nothing more.
_TOLD = (
    *(AnnotationError, DataNotFoundError, UnreadableVideoError),
    *(CheckpointError, NoCheckpointError, ResumeRefusedError),
)
_FEWER = (
    'Halve batch_size of the dataloader and, in training, double '
    'optim_wrapper.accumulative_counts; or compute activations again when they are needed: '
    'model.backbone.with_cp=True and, in pretraining, model.decoder.with_cp=True'
)
_GRACE = 3.0  # seconds in which the process that knows the cause may give it


def stop_together(error: Exception) -> NoReturn:
    """End the run on an error that every process has found at the same time.

    Raises:
        Exception: ``error`` on the main process.
        SystemExit: With code 1 on the others, a little later.
    """
    if is_main_process():
        raise error
    time.sleep(_GRACE)
    raise SystemExit(1)


@contextmanager
def one_cause() -> Iterator[None]:
    """Give the cause once, on the terminal and in the log file, when the block fails.

    A process that fails because another one did says only that; faults of the data, and memory that
    is full, are named in one line. The launcher ends the others as soon as the first exits.

    Raises:
        SystemExit: With code 1 in place of any Exception.
    """
    try:
        yield
    except Exception as error:
        where = f'[process {get_rank()}] ' if get_world_size() > 1 else ''
        if get_world_size() > 1 and _is_echo(error):
            time.sleep(_GRACE)
            text = f'{where}stopped because another process has failed'
        elif isinstance(error, _TOLD):
            # A loader's worker puts its traceback before the message.
            text = f'{where}error: {str(error).rstrip().splitlines()[-1]}'
            text = text.replace(f'{type(error).__module__}.{type(error).__name__}: ', '')
        elif told := full_memory(error):
            text = f'{where}error: {told} {_FEWER}'
        else:
            text = where + ''.join(traceback.format_exception(error)).rstrip()
        _to_stderr()
        print_log(text, logger='current', level=ERROR)
        raise SystemExit(1) from None


def _to_stderr() -> None:
    """Let what follows come on the standard error, besides the log file."""
    for handler in MMLogger.get_current_instance().handlers:
        if isinstance(handler, StreamHandler) and not isinstance(handler, FileHandler):
            handler.stream = sys.stderr


def _is_echo(error: Exception) -> bool:
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(echo in text for echo in _ECHOES)
