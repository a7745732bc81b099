"""Multiply-adds of a module, by submodule. The papers of this field call them FLOPs.

Only matrix products count: linear layers, convolutions and attention. Norms, activations,
residual sums and the softmax are left out, which is what the published figures do.
"""

import warnings
from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter('ignore', FutureWarning)  # torch.jit.script in fvcore's own code
    from fvcore.nn import FlopCountAnalysis
    from fvcore.nn.jit_handles import (
        addmm_flop_jit,
        bmm_flop_jit,
        conv_flop_jit,
        einsum_flop_jit,
        linear_flop_jit,
        matmul_flop_jit,
    )


def attention_multiply_adds(inputs: Sequence, outputs: Sequence) -> int:
    """Rule for fused attention: queries times keys, and weights times values.

    fvcore has none; a counter without it misses 121 G of ViT-L's 597 G.

    Args:
        inputs: Traced values; the first three are query (..., Q, D), key (..., K, D) and value
            (..., K, V).
        outputs: Not used.
    """
    query, key, value = (item.type().sizes() for item in inputs[:3])
    return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


RULES = {
    'aten::_convolution': conv_flop_jit,
    'aten::addmm': addmm_flop_jit,
    'aten::bmm': bmm_flop_jit,
    'aten::einsum': einsum_flop_jit,
    'aten::linear': linear_flop_jit,
    'aten::matmul': matmul_flop_jit,
    'aten::mm': matmul_flop_jit,
    'aten::_scaled_dot_product_attention_math': attention_multiply_adds,
    'aten::_scaled_dot_product_cudnn_attention': attention_multiply_adds,
    'aten::_scaled_dot_product_efficient_attention': attention_multiply_adds,
    'aten::_scaled_dot_product_flash_attention': attention_multiply_adds,
    'aten::_scaled_dot_product_flash_attention_for_cpu': attention_multiply_adds,
    'aten::scaled_dot_product_attention': attention_multiply_adds,
}


def count_multiply_adds(module: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, int]:
    """Multiply-adds of one forward pass.

    Nothing is computed when the module and its inputs are on the ``meta`` device.

    Args:
        module: The module; its forward takes tensors only.
        inputs: Arguments of its forward.

    Returns:
        Multiply-adds by module name; ``''`` is the module itself and a name includes what is
        below it.
    """
    analysis = FlopCountAnalysis(module, inputs).clear_op_handles().set_op_handle(**RULES)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    analysis.tracer_warnings('none')
    return {name: int(count) for name, count in analysis.by_module().items()}
