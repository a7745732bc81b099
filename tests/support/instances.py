"""The loggers, message hubs, visualisers and scopes that mmengine keeps by name.

A run's are named after its config and the second it starts in, so a run in the process of another
would log into the other's files if it started in the same second.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.utils import ManagerMixin


def _managers(cls: type = ManagerMixin) -> Iterator[type]:
    yield cls
    for child in cls.__subclasses__():
        yield from _managers(child)


@contextmanager
def kept_instances() -> Iterator[None]:
    """Leave them as they were."""
    before = {manager: manager._instance_dict.copy() for manager in _managers()}
    try:
        yield
    finally:
        for manager in _managers():
            manager._instance_dict = before.get(manager, OrderedDict())


@contextmanager
def no_instances() -> Iterator[None]:
    """Begin with none, as a process does, and leave those that were there before."""
    with kept_instances():
        for manager in _managers():
            manager._instance_dict = OrderedDict()
        yield
