"""What is said when the memory of a device is full."""

import re


def full_memory(error: BaseException) -> str | None:
    """What was wanted and what is free, in a line; None if the error is another one.

    PyTorch has a class of its own for this on CUDA, but not on every device.
    """
    line = str(error).partition('\n')[0]
    if not isinstance(error, RuntimeError) or not re.search('out of memory|allocate memory', line):
        return None
    return ' '.join(re.split(r'(?<=\.) ', line)[:3])
