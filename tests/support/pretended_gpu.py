"""A GPU that is not there: tensors that say they are on ``cuda:0``, computed on the CPU.

It refuses what a GPU refuses (tensors of two devices in one operation, a tensor on the GPU turned
into an array) and notes where the host waits for it. It says nothing of memory, speed, streams
and rounding, and knows nothing of compiling. Apple's ``mps`` refuses float64 besides, and here also
copies without waiting, which give wrong numbers there.

A tensor wraps one on the CPU and belongs, for PyTorch's autograd, to a backend of its own; Python
is told ``cuda`` or ``mps``.
"""

import contextlib
import functools
import importlib
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch._dynamo  # on import it lists what torch.cuda holds
import torch.nn.functional as F
from mmengine.device import utils as mmengine_device
from mmengine.runner import EpochBasedTrainLoop
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

CPU = torch.device('cpu')
CONTIGUOUS = torch.contiguous_format
aten = torch.ops.aten
TWO_DEVICES = {aten.copy_, aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}
READ_BY_HOST = {aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal,
                aten._unique2, aten.unique_consecutive, aten.unique_dim}  # fmt: skip
# What autocast does to the functions that matter here.
LOW = {F.linear, F.conv2d, F.conv3d, F.scaled_dot_product_attention, torch.matmul, torch.bmm,
       torch.Tensor.matmul, torch.Tensor.__matmul__, torch.einsum}  # fmt: skip
FULL = {F.layer_norm, F.softmax, F.mse_loss, F.cross_entropy, F.smooth_l1_loss, F.normalize,
        F.binary_cross_entropy_with_logits, torch.softmax, torch.sum, torch.Tensor.softmax,
        torch.Tensor.sum, torch.Tensor.pow, torch.linalg.norm}  # fmt: skip


_said = [torch.device('cuda', 0)]
_log: list[int] = []  # descriptor of the file with what the host waits for
_iteration = [-1]  # of the training
_process: list[int] = []  # that has touched the GPU


def note(what: str) -> None:
    """Write down what the host waits for, in which iteration and by whom outside PyTorch."""
    frames = [
        frame
        for frame in traceback.extract_stack()
        if '/torch/' not in frame.filename and frame.filename != __file__
    ]
    places = [f'{frame.filename.rpartition("/")[2]}:{frame.name}' for frame in frames[:-6:-1]]
    os.write(_log[0], f'{_iteration[0]}: {what}: {" < ".join(places)}\n'.encode())


class OnGpu(torch.Tensor):
    """A tensor that says it is on the GPU."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> 'OnGpu':
        self = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(),
            dtype=held.dtype, layout=held.layout, device=_own_device(),
        )  # fmt: skip
        if _is_apple() and held.dtype is torch.float64:
            raise TypeError("the MPS framework doesn't support float64")
        self.held = held
        return self

    device = property(lambda self: _said[0])
    is_cuda = property(lambda self: not _is_apple())
    is_mps = property(lambda self: _is_apple())
    is_cpu = property(lambda self: False)
    __torch_function__ = torch._C._disabled_torch_function_impl

    def get_device(self) -> int:
        return 0

    def untyped_storage(self) -> torch.UntypedStorage:
        return self.held.untyped_storage()

    def __repr__(self) -> str:
        return f'OnGpu({self.held})'

    def __deepcopy__(self, memo: dict) -> torch.Tensor:
        if id(self) not in memo:
            new: torch.Tensor = OnGpu(self.held.clone())
            if isinstance(self, torch.nn.Parameter):
                new = torch.nn.Parameter(new, self.requires_grad)
            memo[id(self)] = new
        return memo[id(self)]

    def __reduce_ex__(self, protocol: int) -> None:
        raise RuntimeError('a tensor on the GPU is pickled')

    def numpy(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError(f"can't convert {self.device} device type tensor to numpy")

    __array__ = numpy

    def tolist(self) -> list:
        note('tolist')
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, op: Any, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        if not _process:
            _process.append(os.getpid())
        if os.getpid() not in _process:
            raise RuntimeError('Cannot re-initialize CUDA in forked subprocess')
        kwargs = kwargs or {}
        to = kwargs.get('device')
        if to is not None:
            kwargs = dict(kwargs, device=CPU)
        _refuse_or_note(op.overloadpacket, args, kwargs, to)
        out = op(*tree_map(_held, args), **tree_map(_held, kwargs))
        if to is not None and to.type == 'cpu':
            return out
        written = _written(op, args, kwargs)
        if written is not None:
            return written
        return tree_map(lambda x: OnGpu(x) if isinstance(x, torch.Tensor) else x, out)


def _is_apple() -> bool:
    return _said[0].type == 'mps'


def _held(x: Any) -> Any:
    return x.held if isinstance(x, OnGpu) else x


def _refuse_or_note(op: Any, args: tuple, kwargs: dict, to: torch.device | None) -> None:
    others = [
        x
        for x in tree_leaves((args, kwargs))
        if isinstance(x, torch.Tensor) and not isinstance(x, OnGpu) and x.dim()
    ]
    if others and op not in TWO_DEVICES:
        raise RuntimeError(
            f'{op}: a tensor of the CPU, of shape {tuple(others[0].shape)}, with those of the GPU'
        )
    masks = [x for x in tree_leaves(args[1:]) if isinstance(x, torch.Tensor)]
    by_mask = op is aten.index and any(x.dtype in (torch.bool, torch.uint8) for x in masks)
    if op in READ_BY_HOST or by_mask or (others and op is aten.index):
        note(str(op))
    if op is aten.copy_ and others:
        if args[0] is others[0]:
            note('a copy to the host')
        elif not getattr(others[0], 'pinned', False):
            note('a copy of memory that is not pinned')
    if to is not None and to.type == 'cpu' and not kwargs.get('non_blocking'):
        note('to the host')
    if _is_apple() and (kwargs.get('non_blocking') or (op is aten.copy_ and args[2:] == (True,))):
        raise RuntimeError('a copy that nobody waits for')


def _written(op: Any, args: tuple, kwargs: dict) -> Any:
    """What an operation in place returns: the tensors that it was given."""
    given = {}
    for i, argument in enumerate(op._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            for name in argument.alias_info.before_set:
                given[name] = args[i] if i < len(args) else kwargs.get(argument.name)
    aliases = [returned.alias_info for returned in op._schema.returns]
    if not aliases or not all(alias is not None and alias.is_write for alias in aliases):
        return None
    found = [given[next(iter(alias.before_set))] for alias in aliases]
    return found[0] if len(found) == 1 else tuple(found)


class _Translated(TorchFunctionMode):
    """``cuda``, or ``mps``, is this GPU; autocast for it."""

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, '__name__', '') == 'cuda' and isinstance(args[0], torch.Tensor):
            func, args, kwargs = torch.Tensor.to, (args[0], _said[0]), {}
        if func is torch.device:  # what code compares with, and shows
            return func(*args, **kwargs)
        args, kwargs = tuple(map(_own, args)), {key: _own(x) for key, x in kwargs.items()}
        kind = _said[0].type
        if torch.is_autocast_enabled(kind) and (func in LOW or func in FULL):
            low = torch.get_autocast_dtype(kind)
            wanted = low if func in LOW else torch.float32
            args, kwargs = tree_map(
                lambda x: (
                    x.to(wanted) if isinstance(x, OnGpu) and x.dtype in (torch.float32, low) else x
                ),
                (args, kwargs),
            )
        return func(*args, **kwargs)


def _own(x: Any) -> Any:
    kind = _said[0].type
    if isinstance(x, torch.device) or (isinstance(x, str) and x.startswith(kind)):
        return _own_device() if torch.device(x).type == kind else x
    return x


class _Stream:
    """A stream; all is done at once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def synchronize(self) -> None:
        note('a stream')

    def record_event(self, event: '_Event | None' = None) -> '_Event':
        event = event or _Event()
        event.record()
        return event

    wait_stream = wait_event = lambda self, other: None


class _Event:
    """The end of what a training step has begun."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.iteration = -1

    def record(self, stream: _Stream | None = None) -> None:
        self.iteration = _iteration[0]

    def synchronize(self) -> None:
        note(f'an event of iteration {self.iteration}')

    def query(self) -> bool:
        return True

    def wait(self, stream: _Stream | None = None) -> None:
        pass

    def elapsed_time(self, other: '_Event') -> float:
        return 1.0


_registered: list[Any] = []


def _own_device() -> torch.device:
    """PyTorch's backend for tensors of Python, registered once."""
    if not _registered:
        _setup_privateuseone_for_python_backend('pretended')
        library = torch.library.Library('aten', 'IMPL')
        for kernel in (empty, empty_strided, _copy_from, _local_scalar_dense):
            name = 'empty.memory_format' if kernel is empty else kernel.__name__
            library.impl(name, kernel, 'PrivateUse1')
        _registered.append(library)
    return torch.device('pretended', 0)


# What PyTorch calls by itself, past ``__torch_dispatch__``.
def empty(size, dtype=None, layout=None, device=None, pin_memory=None, memory_format=None):
    return OnGpu(torch.empty(size, dtype=dtype, memory_format=memory_format or CONTIGUOUS))


def empty_strided(size, stride, dtype=None, layout=None, device=None, pin_memory=None):
    return OnGpu(torch.empty_strided(size, stride, dtype=dtype))


def _copy_from(source, target, non_blocking=False):
    if isinstance(target, OnGpu) and not isinstance(source, OnGpu):
        note('a copy of memory that is not pinned')
    _held(target).copy_(_held(source))
    return target


def _local_scalar_dense(x):
    note('item')
    return x.held.item()


def _constant(value: Any) -> Callable:
    return lambda *args, **kwargs: value


class _OfTheCpu:
    """Compiled functions that write into the tensors they are given."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def __getattr__(self, name: str) -> Callable:
        function = getattr(self.module, name)
        return lambda *args, **kwargs: function(*map(_held, args), **kwargs)


def _pin_memory(tensor: torch.Tensor, *args: Any) -> torch.Tensor:
    tensor.pinned = True
    return tensor


def _load(load: Callable, *args: Any, map_location: Any = None, **kwargs: Any) -> Any:
    loaded = load(*args, map_location='cpu', **kwargs)
    if torch.device(map_location or 'cpu').type == 'cpu':
        return loaded
    return tree_map(lambda x: x.to(_said[0]) if isinstance(x, torch.Tensor) else x, loaded)


PROPERTIES = SimpleNamespace(
    name='Pretended GPU', total_memory=80 * 2**30, major=9, minor=0, multi_processor_count=132
)
CUDA = dict(
    is_available=_constant(True),
    is_initialized=_constant(True),
    is_bf16_supported=_constant(True),
    is_current_stream_capturing=_constant(False),
    device_count=_constant(1),
    current_device=_constant(0),
    get_device_name=_constant(PROPERTIES.name),
    get_device_capability=_constant((9, 0)),
    get_device_properties=_constant(PROPERTIES),
    mem_get_info=_constant((2**36, 2**36)),
    synchronize=lambda *args: note('synchronize'),
    current_stream=_Stream,
    stream=contextlib.nullcontext,
    Stream=_Stream,
    Event=_Event,
    **dict.fromkeys(
        ['set_device', '_lazy_init', 'manual_seed', 'manual_seed_all', 'empty_cache',
         'reset_peak_memory_stats'],
        _constant(None),
    ),
    **dict.fromkeys(
        ['memory_allocated', 'max_memory_allocated', 'memory_reserved', 'max_memory_reserved'],
        _constant(2**20),
    ),
)  # fmt: skip


def pretend(log: Path, kind: str = 'cuda') -> None:
    """From here on PyTorch and mmengine find a GPU; what the host waits for is added to a file.

    In a process of its own, before it has computed a gradient.
    """
    _log.append(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    _own_device()
    _said[0] = torch.device(kind, 0)
    for name, value in CUDA.items() if kind == 'cuda' else ():
        setattr(torch.cuda, name, value)
    torch.backends.mps.is_available = _constant(_is_apple())
    torch.Tensor.pin_memory = _pin_memory
    torch.Tensor.is_pinned = lambda self, *args: getattr(self, 'pinned', False)
    torch.Tensor.record_stream = _constant(None)
    torch.load = functools.partial(_load, torch.load)
    # In inference mode operations would come here before they are taken apart.
    torch._C._InferenceMode = lambda on: torch.no_grad() if on else contextlib.nullcontext()
    mmengine_device.DEVICE = kind
    _Translated().__enter__()
    step = EpochBasedTrainLoop.run_iter

    def run_iter(self, idx, data_batch):
        _iteration[0] = self.iter
        step(self, idx, data_batch)

    EpochBasedTrainLoop.run_iter = run_iter


def pretend_ops() -> None:
    """After ``pretend``: the compiled operation of mmcv that detection takes, as well."""
    module = importlib.import_module('mmcv.ops.roi_align')
    module.ext_module = _OfTheCpu(module.ext_module)
