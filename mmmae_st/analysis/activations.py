"""What the forward pass of a training step keeps for the backward pass, by submodule.

The forward pass runs on fake tensors, which have shapes and no memory, so ViT-H takes seconds on
any machine. Counted is every distinct storage that autograd saves, parameters aside. A GPU needs
more at its peak: weights, gradients, optimiser state and the workspace of the kernels.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode


@dataclass
class Activations:
    """Saved bytes and output tokens by module name; ``''`` is the module itself.

    Attributes:
        per_clip: Bytes that each further clip of the batch adds, including what is below a name.
        fixed: Bytes whatever the batch, such as bfloat16 copies of the weights under autocast.
        tokens: Length of the token sequence (B, L, D) that a module returns.
    """

    per_clip: dict[str, int] = field(default_factory=dict)
    fixed: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)


def saved_activations(
    module: nn.Module, inputs: tuple[Tensor, ...], bfloat16: bool = False
) -> Activations:
    """Measure what one forward pass saves for the backward pass.

    Args:
        module: The module, on any device; its forward takes tensors with the batch first.
        inputs: Arguments for a batch of one clip; only their shapes and types matter.
        bfloat16: Under bfloat16 autocast.
    """
    one, tokens = _saved_bytes(module, inputs, 1, bfloat16)
    two, _ = _saved_bytes(module, inputs, 2, bfloat16)
    names = [name for name, _ in module.named_modules()]
    result = Activations(tokens=tokens)
    for name in names:
        single, double = (
            sum(size for key, size in sizes.items() if _is_below(key, name)) for sizes in (one, two)
        )
        result.per_clip[name] = double - single
        result.fixed[name] = 2 * single - double
    return result


def _is_below(name: str, parent: str) -> bool:
    return not parent or name == parent or name.startswith(parent + '.')


def _saved_bytes(
    module: nn.Module, inputs: tuple[Tensor, ...], batch: int, bfloat16: bool
) -> tuple[dict[str, int], dict[str, int]]:
    """Bytes saved by each module itself, and the tokens that it returns."""
    stack = ['']
    sizes: dict[str, int] = {}
    tokens: dict[str, int] = {}
    kept: dict[int, torch.UntypedStorage] = {}  # holding them keeps their ids unique

    def save(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in kept:
            kept[storage._cdata] = storage
            sizes[stack[-1]] = sizes.get(stack[-1], 0) + storage.nbytes()
        return tensor

    def enter(name: str) -> None:
        stack.append(name)

    def leave(name: str, output: object) -> None:
        stack.pop()
        if isinstance(output, Tensor) and output.ndim == 3:
            tokens[name] = output.shape[1]

    handles = []
    for name, child in module.named_modules():
        handles.append(
            child.register_forward_pre_hook(lambda _module, _args, name=name: enter(name))
        )
        handles.append(
            child.register_forward_hook(lambda _module, _args, out, name=name: leave(name, out))
        )
    try:
        with FakeTensorMode():
            state = {
                name: torch.empty(value.shape, dtype=value.dtype, requires_grad=trained)
                for values, trained in (
                    (module.named_parameters(), True),
                    (module.named_buffers(), False),
                )
                for name, value in values
            }
            for value in state.values():
                kept[value.untyped_storage()._cdata] = value.untyped_storage()
            args = tuple(
                torch.empty((batch, *value.shape[1:]), dtype=value.dtype) for value in inputs
            )
            with (
                torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor),
                torch.autocast('cpu', torch.bfloat16, enabled=bfloat16),
            ):
                torch.func.functional_call(module, state, args)
    finally:
        for handle in handles:
            handle.remove()
    return sizes, tokens
