"""Pickle files of arrays, read without running anything that they ask for.

mmaction2 reads the person boxes of AVA with mmengine's ``load``, which unpickles whatever is there.
"""

import pickle
from typing import IO, Any

from mmengine.fileio import PickleHandler, register_handler

# What a pickled array of numbers refers to; the module is another one before numpy 2.
ALLOWED = {
    *((f'numpy.{core}.multiarray', '_reconstruct') for core in ('core', '_core')),
    *((f'numpy.{core}.multiarray', 'scalar') for core in ('core', '_core')),
    *((f'numpy.{core}.numeric', '_frombuffer') for core in ('core', '_core')),
    ('numpy', 'ndarray'),
    ('numpy', 'dtype'),
    ('_codecs', 'encode'),  # bytes in the older protocols,
    ('__builtin__', 'bytes'),  # and empty ones
    ('collections', 'OrderedDict'),
}


class ArrayUnpickler(pickle.Unpickler):
    """Reads dicts, lists, numbers, text and numpy arrays, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """Called for each class or function that the file names.

        Raises:
            ValueError: If it is none of those that arrays need.
        """
        if (module, name) not in ALLOWED:
            raise ValueError(
                f'a pickle file was refused: to read it, {module}.{name} would have to be imported '
                'and could run code. Files of annotations may hold plain data and numpy arrays only'
            )
        return super().find_class(module, name)


class ArrayPickleHandler(PickleHandler):
    """mmengine's handler of pickle files; reading is restricted, writing is not."""

    def load_from_fileobj(self, file: IO[bytes], **kwargs: Any) -> Any:
        """Read plain data and arrays.

        Raises:
            ValueError: If the file asks for anything else, which is named.
        """
        return ArrayUnpickler(file, **kwargs).load()


def use_array_pickles() -> None:
    """Let ``mmengine.fileio.load`` read pickle files as plain data and arrays, in this process."""
    register_handler(['pickle', 'pkl'])(ArrayPickleHandler)
