"""Layer-wise learning rates for fine-tuning."""

from collections import defaultdict
from typing import Any

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmmae_st.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Gives each layer of ``model.backbone`` its own learning rate, lower towards the input.

    A parameter of layer i learns at ``lr * layer_decay_rate ** (depth + 1 - i)``. Layer 0 is the
    patch embedding, the class token and every position embedding; block n is layer n + 1; the
    final norm and everything outside the backbone are layer depth + 1 and learn at ``lr``
    (arXiv 2205.09113, appendix; BEiT). Vectors, that is biases and norms, are not decayed.

    The table of the groups is logged when the optimiser is built. A scheduler with a lower bound
    needs ``eta_min_ratio``, not ``eta_min``: an absolute bound would raise the lowest rates.

    Args:
        optim_wrapper_cfg: Config of the optimiser wrapper; the optimiser needs ``lr``.
        paramwise_cfg: ``dict(layer_decay_rate=...)``, in (0, 1].

    Raises:
        ValueError: For another key in ``paramwise_cfg``, a rate out of range, an optimiser
            without ``lr``, or a model whose backbone has no ``get_layer_depth``.
    """

    def _validate_cfg(self) -> None:
        if set(self.paramwise_cfg) != {'layer_decay_rate'}:
            raise ValueError(
                "paramwise_cfg must have the one key 'layer_decay_rate', "
                f'got {dict(self.paramwise_cfg)}'
            )
        rate = self.paramwise_cfg['layer_decay_rate']
        if not 0 < rate <= 1:
            raise ValueError(f'layer_decay_rate must be in (0, 1], got {rate}')
        if self.base_lr is None:
            raise ValueError(
                f"optimizer needs 'lr' for layer-wise rates, got {dict(self.optimizer_cfg)}"
            )

    def add_params(self, params: list[dict], module: nn.Module) -> None:
        """Append one group per layer and weight decay to ``params``, and log the table."""
        backbone: Any = getattr(module, 'backbone', None)
        if not hasattr(backbone, 'get_layer_depth'):
            raise ValueError(
                'layer decay needs a model whose backbone has get_layer_depth, as SpacetimeViT, '
                f'got {type(module).__name__} with backbone {type(backbone).__name__}'
            )
        weight_decay = self.base_wd or 0.0
        groups: dict[tuple[int, float], list[nn.Parameter]] = defaultdict(list)
        num_layers = 0
        for name, param in module.named_parameters():
            layer, num_layers = backbone.get_layer_depth(name, 'backbone.')
            if param.requires_grad:
                groups[layer, 0.0 if param.ndim == 1 else weight_decay].append(param)
        rate = self.paramwise_cfg['layer_decay_rate']
        for (layer, decay), members in sorted(groups.items()):
            scale = rate ** (num_layers - 1 - layer)
            params.append(
                dict(
                    params=members,
                    lr=self.base_lr * scale,
                    weight_decay=decay,
                    lr_scale=scale,
                    layer_id=layer,
                )
            )
        table = layer_decay_table(params, num_layers)
        print_log(f'Layer decay {rate}, {num_layers - 2} blocks:\n{table}', logger='current')


def layer_decay_table(groups: list[dict], num_layers: int) -> str:
    """The groups as text, a line for each layer; parameters with and without weight decay."""
    lines = [f'{"layer":<14}{"scale":>13}{"lr":>12}{"decayed":>13}{"not decayed":>13}']
    for layer in range(num_layers):
        own = [group for group in groups if group['layer_id'] == layer]
        if not own:
            continue  # frozen
        counts = {True: 0, False: 0}
        for group in own:
            counts[group['weight_decay'] > 0] += sum(param.numel() for param in group['params'])
        part = 'embeddings' if layer == 0 else f'block {layer - 1}'
        part = 'norm, head' if layer == num_layers - 1 else part
        lines.append(
            f'{layer:>2} {part:<11}{own[0]["lr_scale"]:>13.5e}{own[0]["lr"]:>12.4e}'
            f'{counts[True]:>13,}{counts[False]:>13,}'
        )
    return '\n'.join(lines)
