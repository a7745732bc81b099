"""What a run says: what its user can act on, and the rest in the log file."""

import logging
import warnings

from mmengine.logging import MMLogger
from mmengine.runner import Runner

# Of PyTorch and of packages underneath, about their own code or about every machine without a GPU.
WARNINGS = (
    'pkg_resources is deprecated',
    "'pin_memory' argument is set as true but no accelerator",
    'This DataLoader will create .* worker processes',
)
# Of mmengine: a line for each parameter, and what it warns itself of.
NEVER = (
    'paramwise_options -- ',
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
    'Distributed training is not used, all SyncBatchNorm',
)
# Pages of text, for those who look for something.
FILE_ONLY = ('\n' + '-' * 60 + '\nSystem environment', 'Config:\n', 'Hooks will be executed')


class QuietRunner(Runner):
    """mmengine's Runner with a log that can be read: see :func:`quieten`."""

    def build_logger(
        self, log_level: int | str = 'INFO', log_file: str | None = None, **kwargs: object
    ) -> MMLogger:
        """The logger of the run, quietened before the first line."""
        logger = super().build_logger(log_level, log_file, **kwargs)
        quieten(logger)
        return logger


def quieten(logger: logging.Logger) -> None:
    """Leave out lines that nobody can act on; pages of text go to the log file only."""
    logger.addFilter(lambda record: not record.getMessage().startswith(NEVER))
    files = [h.baseFilename for h in logger.handlers if isinstance(h, logging.FileHandler)]
    for handler in logger.handlers if files else ():
        if not isinstance(handler, logging.FileHandler):
            handler.addFilter(lambda record: not record.getMessage().startswith(FILE_ONLY))
    if files:
        logger.info(f'The config, the environment and the hooks are in {files[0]}')


def quieten_warnings() -> None:
    """Let Python pass over warnings of other packages that a user cannot act on."""
    for message in WARNINGS:
        warnings.filterwarnings('ignore', message=message)
