"""Pictures of what the model reconstructs, during training."""

from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmmae_st.engine.runner.wrapped_model import is_sharded, unwrapped
from mmmae_st.registry import HOOKS
from mmmae_st.visualization import NORMALIZED_NOTE, reconstruction_figure


@HOOKS.register_module()
class ReconstructionHook(Hook):
    """Writes input, masked input and prediction of one clip to the visualiser.

    Until the first ``interval`` is over, at steps 1, 2, 4, 8 and so on: a small set ends before.

    Args:
        interval: Steps between two pictures.

    Raises:
        ValueError: If ``interval`` is below 1; at the start of training, if the model is sharded:
            a picture is drawn by one process, which then holds a part of the weights.
    """

    priority = 'LOW'

    def __init__(self, interval: int = 1000) -> None:
        if interval < 1:
            raise ValueError(f'interval must be at least 1, got {interval}')
        self.interval = interval

    def before_train(self, runner: Runner) -> None:
        """Refuse what would wait for ever."""
        if is_sharded(runner.model):
            raise ValueError(
                'ReconstructionHook draws with the weights of one process, which with FSDP holds a '
                'part of them: leave it out with default_hooks=dict(reconstruction=None)'
            )

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Draw the first clip of the batch when its turn has come."""
        step = runner.iter + 1
        is_early = step < self.interval and step & (step - 1) == 0  # a power of 2
        if not is_main_process() or (step % self.interval and not is_early):
            return
        model = unwrapped(runner.model)
        first = {
            key: [data_batch[key][0][:1]] for key in ('inputs', 'ids_keep') if key in data_batch
        }
        with torch.no_grad():
            batch = model.data_preprocessor(first)
            result = model.predict(batch['inputs'], batch['ids_keep'])[0]
        if 'prediction' not in result:
            return
        picture = reconstruction_figure(
            result.input.cpu(),
            result.masked.cpu(),
            result.prediction.cpu(),
            note=NORMALIZED_NOTE if model.head.target == 'normalized_pixels' else '',
        )
        runner.visualizer.add_image('reconstruction', picture, step=step)
