"""Checkpoint files are data: what mmengine loads may not run code."""

import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Sequence
from logging import WARNING
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader
from safetensors.torch import load_file

from mmmae_st.fileio.hub_files import SCHEME, WEIGHTS, hub_file


class CheckpointError(ValueError):
    """A checkpoint file cannot be used; the message says why."""


class NoCheckpointError(FileNotFoundError):
    """There is no such checkpoint file."""


def load_plain(
    path: str | Path,
    mmap: bool = False,
    admitted: Sequence[type] = (),
) -> Any:
    """Read a file that holds tensors and plain data only, to the CPU. Nothing in it is executed.

    Args:
        path: Local PyTorch or safetensors file.
        mmap: Read the tensors only when they are used, if the file is no legacy one.
        admitted: Classes that it may hold besides.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is a folder, empty or damaged, or asks for another class or function,
            which is named.
    """
    path = existing_file(path)
    try:
        if path.suffix == '.safetensors':
            return load_file(path)
        with torch.serialization.safe_globals(list(admitted)), warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of pickles by another program, refused or not
            mmap = mmap and zipfile.is_zipfile(path)
            return torch.load(path, map_location='cpu', weights_only=True, mmap=mmap)
    except Exception as error:  # a damaged file makes the unpickler fail in any way
        raise _explained(path, error) from error


def existing_file(path: str | Path) -> Path:
    """The path of a file that is there and holds something.

    Of a folder of ``save_pretrained``, ``model.safetensors``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is another folder or empty.
    """
    path = Path(path)
    if (path / WEIGHTS).is_file():
        return path / WEIGHTS
    if not path.exists():
        raise NoCheckpointError(f'checkpoint {path} does not exist')
    if path.is_dir():
        files = sorted(p.name for p in path.iterdir() if p.is_file())
        held = ', '.join(files[:8]) or 'none'
        raise CheckpointError(f'checkpoint {path} is a folder: name a file; in it are {held}')
    if path.stat().st_size == 0:
        raise CheckpointError(f'checkpoint {path} is empty (0 bytes)')
    return path


def _explained(path: Path, error: Exception) -> CheckpointError:
    refused = _refused_global(path, error)
    if refused:
        return CheckpointError(
            f'checkpoint {path} was refused: to read it, {refused} would have to be imported and '
            'could run code. If you trust the file, save its state_dict alone where it was made, '
            'or give tools/train.py and tools/test.py --trust-checkpoint with its path'
        )
    if 'TorchScript' in str(error):
        return CheckpointError(
            f'checkpoint {path} is a TorchScript archive: save model.state_dict()'
        )
    with path.open('rb') as file:
        if file.read(200).lstrip()[:1] == b'<':
            return CheckpointError(
                f'checkpoint {path} is a web page, not a PyTorch file: was the address of the page '
                'saved instead of the file?'
            )
    cause = str(error).strip().splitlines()[0] if str(error).strip() else 'no message'
    if 'weights_only' in cause:  # how PyTorch begins, whatever is wrong with the file
        cause = 'no pickle of tensors'
    return CheckpointError(
        f'checkpoint {path} is damaged, cut short or no PyTorch file '
        f'({type(error).__name__}: {cause})'
    )


def _refused_global(path: Path, error: Exception) -> str | None:
    """Name of the class or function that a file asks for and may not have."""
    named = re.search(r'GLOBAL (\S+)', str(error))
    if named:
        return named[1]
    if not isinstance(error, pickle.UnpicklingError) or zipfile.is_zipfile(path):
        return None
    with path.open('rb') as file:
        name = _first_global(file)
    return name if name and re.fullmatch(r'[\w.]+', name) else None


def _first_global(file: BinaryIO) -> str | None:
    """The first class or function a pickle names, found without running it."""
    strings: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(file):
            if opcode.name == 'GLOBAL':
                return str(argument).replace(' ', '.')
            if opcode.name == 'STACK_GLOBAL':
                return '.'.join(strings[-2:])
            if isinstance(argument, str):
                strings.append(argument)
    except ValueError:
        return None
    return None


def use_safe_loading(trusted: Sequence[str] = ()) -> None:
    """Let mmengine read files and addresses safely, whatever its and PyTorch's defaults are.

    To the CPU, wherever it asks for them: model and optimiser copy what is theirs to the device,
    which need not hold it twice, and counters that belong on the CPU stay there.

    Args:
        trusted: Files that may run code when they are loaded; for those whose origin you know.
    """
    trusted_paths = {Path(path).expanduser().resolve() for path in trusted}

    def load_from_local(filename: str, map_location: Any = None) -> Any:
        path = Path(filename).expanduser()
        if path.resolve() in trusted_paths:
            print_log(f'{path} is trusted: it may run code', logger='current', level=WARNING)
            return torch.load(path, map_location='cpu', weights_only=False)
        return load_plain(path)

    def load_from_address(url: str, map_location: Any = None) -> Any:
        return load_plain(download_once(url))

    def load_from_hub(address: str, map_location: Any = None) -> Any:
        return load_plain(hub_file(address))

    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    CheckpointLoader.register_scheme(prefixes=SCHEME, loader=load_from_hub, force=True)
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
