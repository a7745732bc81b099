"""Standard output that nobody reads any more: ``head``, for instance, has seen enough."""

import os
import select
import sys
from contextlib import suppress


def drop_unread_output() -> bool:
    """Write out what was printed; if the reader of the pipe is gone, drop it and all that follows.

    Returns:
        Whether the reader is gone.
    """
    try:
        number = sys.stdout.fileno()
    except (AttributeError, ValueError):  # None where a program is started without; or no file
        return False
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    output = select.poll()
    output.register(number, 0)
    if not any(event & select.POLLERR for _, event in output.poll(0)):
        return False
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
    return True
