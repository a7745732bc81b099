"""Checkpoint files are data: what mmengine loads may not run code."""

import re
from collections.abc import Sequence
from logging import WARNING
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader


def load_plain(path: str | Path, map_location: Any = 'cpu', mmap: bool = False) -> Any:
    """Read a PyTorch file that holds tensors and plain data only.

    Args:
        path: Local file.
        map_location: Where the tensors go, as for ``torch.load``.
        mmap: Read the tensors only when they are used.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it asks for a class or function, which is named, or cannot be read.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist')
    try:
        return torch.load(path, map_location=map_location, weights_only=True, mmap=mmap)
    except Exception as error:  # a damaged file fails in any way
        raise _explained(path, error) from error


def _explained(path: str | Path, error: Exception) -> ValueError:
    refused = re.search(r'GLOBAL (\S+)', str(error))
    if refused:
        return ValueError(
            f'checkpoint {path} was refused: to read it, {refused[1]} would have to be imported '
            'and could run code. If you trust the file, give --trust-checkpoint with its path'
        )
    cause = ' '.join(str(error).strip().splitlines()[:1])
    return ValueError(
        f'checkpoint {path} is damaged or no PyTorch file ({type(error).__name__}: {cause})'
    )


def use_safe_loading(trusted: Sequence[str] = ()) -> None:
    """Let mmengine read files and addresses safely, whatever its and PyTorch's defaults are.

    Args:
        trusted: Files that may run code when they are loaded; for those whose origin you know.
    """
    trusted_paths = {Path(path).expanduser().resolve() for path in trusted}

    def load_from_local(filename: str, map_location: Any = None) -> Any:
        path = Path(filename).expanduser()
        if path.resolve() in trusted_paths:
            print_log(f'{path} is trusted: it may run code', logger='current', level=WARNING)
            return torch.load(path, map_location=map_location, weights_only=False)
        return load_plain(path, map_location)

    def load_from_address(url: str, map_location: Any = None) -> Any:
        return load_plain(download_once(url), map_location)

    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    for prefix in ('http://', 'https://'):
        CheckpointLoader.register_scheme(prefix, loader=load_from_address, force=True)


def download_once(address: str) -> Path:
    """The file at an http(s) address, in torch hub's folder; fetched if it is not there.

    The main process goes first; where others do not see its file, on another machine, they fetch
    their own. A download that fails leaves no file, and fails in every process that needed it.

    Raises:
        OSError: If it cannot be fetched.
    """
    local = Path(torch.hub.get_dir(), 'checkpoints', Path(urlparse(address).path).name)
    failure = None
    for first in (True, False):
        if is_main_process() is first and not local.exists():
            local.parent.mkdir(parents=True, exist_ok=True)
            try:
                torch.hub.download_url_to_file(address, str(local), progress=False)
            except OSError as error:
                failure = error
        barrier()
    if failure is not None:
        raise OSError(f'{address} cannot be downloaded: {failure}') from failure
    return local
