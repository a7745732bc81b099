"""Pretraining loss on held-out clips."""

from collections.abc import Sequence

from mmengine.evaluator import BaseMetric

from mmmae_st.registry import METRICS


@METRICS.register_module()
class ReconstructionLoss(BaseMetric):
    """Mean of the clips' losses over their removed patches.

    Args:
        collect_device: ``'cpu'`` or ``'gpu'``: where results of several processes meet.
        prefix: Prefix of the metric's name in the log.
    """

    default_prefix = 'held_out'

    def __init__(self, collect_device: str = 'cpu', prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Collect the ``loss`` of each clip that the model predicted."""
        self.results.extend(float(sample['loss']) for sample in data_samples)

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        """``dict(loss=...)`` over all clips."""
        return dict(loss=sum(results) / len(results))
