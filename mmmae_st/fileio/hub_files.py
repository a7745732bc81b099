"""Files of the Hugging Face Hub: ``hf://user/name[@revision]/file``."""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

SCHEME = 'hf://'
WEIGHTS = 'model.safetensors'  # of a folder or a repository


def hub_file(address: str) -> Path:
    """The local copy of a file of the Hub, fetched if it is not in its cache.

    The package's own settings apply: ``HF_HOME``, ``HF_ENDPOINT``, ``HF_HUB_OFFLINE``, a token.

    Args:
        address: ``hf://user/name/file``, or ``hf://user/name@revision/file`` with a branch, tag or
            commit.

    Raises:
        ValueError: If the address is of another form, or huggingface_hub is not installed.
        OSError: If there is no such file, or it cannot be fetched.
    """
    parts = address.removeprefix(SCHEME).split('/', 2)
    if not address.startswith(SCHEME) or len(parts) < 3 or not all(parts):
        raise ValueError(f'an address of the Hub must be hf://user/name/file, got {address!r}')
    name, _, revision = parts[1].partition('@')
    hub = huggingface_hub()
    try:
        found = hub.hf_hub_download(
            f'{parts[0]}/{name}', parts[2], revision=unquote(revision) or None
        )
    except (OSError, ValueError) as error:  # all that it raises are one of these
        cause = ' '.join(str(error).split())
        raise OSError(f'{address} cannot be downloaded: {cause}') from error
    return Path(found)


def huggingface_hub() -> ModuleType:
    """The package, imported when it is needed.

    Raises:
        ValueError: If it is not installed.
    """
    try:
        return import_module('huggingface_hub')
    except ImportError as error:
        raise ValueError(
            'models of the Hub need huggingface_hub: pip install huggingface_hub'
        ) from error
