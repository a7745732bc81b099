"""Says what a step consumes, and when loading holds it up."""

from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmmae_st.engine.runner.resume import accumulated_steps
from mmmae_st.registry import HOOKS


@HOOKS.register_module()
class ThroughputHook(Hook):
    """Logs epochs, effective epochs and clips per second; warns once when loading starves.

    An epoch passes over the videos once. With R views cut from each decoded video the paper
    counts R *effective* epochs, the unit of its schedules. Both are logged, and at the first
    step how many videos and clips make one update. Videos that come again in an epoch, to fill
    it up, or are left out of it count as they are: effective epochs are clips over videos.

    Args:
        max_data_share: Share of the step time that may go to waiting for data.
        patience: Steps to average over before judging.
    """

    priority = 55  # after IterTimerHook has measured, before LoggerHook writes

    def __init__(self, max_data_share: float = 0.3, patience: int = 50) -> None:
        if not 0 < max_data_share <= 1:
            raise ValueError(f'max_data_share must be in (0, 1], got {max_data_share}')
        if patience < 1:
            raise ValueError(f'patience must be at least 1, got {patience}')
        self.max_data_share = max_data_share
        self.patience = patience
        self._steps = 0

    def before_train(self, runner: Runner) -> None:
        """Start counting anew."""
        self._steps = 0

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Update the scalars of the step."""
        videos, views = count_views(data_batch)
        world_size = get_world_size()
        if self._steps == 0:
            self._announce(runner, videos, views, world_size)
        self._steps += 1
        hub = runner.message_hub
        epochs_done = (runner.iter + 1) / len(runner.train_dataloader)
        passes = videos_per_epoch(runner.train_dataloader) / len(runner.train_dataloader.dataset)
        hub.update_scalar('train/effective_epoch', epochs_done * passes * views)
        seconds = hub.get_scalar('train/time').current()
        hub.update_scalar('train/clips_per_second', videos * views * world_size / seconds)
        if self._steps == self.patience:
            self._judge_loading(runner)

    def _announce(self, runner: Runner, videos: int, views: int, world_size: int) -> None:
        steps = accumulated_steps(runner)
        per_update = videos * world_size * steps
        loader = runner.train_dataloader
        epochs = round(runner.max_iters / len(loader), 2)
        effective = epochs * views * videos_per_epoch(loader) / len(loader.dataset)
        runner.logger.info(
            f'One update takes {per_update} videos ({videos} per process x {world_size} '
            f'processes x {steps} accumulated steps) x {views} views = {per_update * views} '
            f'clips. {epochs:g} epochs are {effective:.{0 if effective >= 100 else 1}f} effective '
            'epochs.'
        )

    def _judge_loading(self, runner: Runner) -> None:
        hub = runner.message_hub
        window = max(self.patience // 2, 1)
        waiting = hub.get_scalar('train/data_time').mean(window)
        step = hub.get_scalar('train/time').mean(window)
        if waiting <= self.max_data_share * step:
            return
        loader = runner.train_dataloader
        runner.logger.warning(
            f'{waiting / step:.0%} of the step time goes to waiting for data '
            f'({waiting:.3f} of {step:.3f} s). Try, in this order: more workers '
            f'(train_dataloader.num_workers={loader.num_workers}), more views per decoded video '
            '(LoadClips num_clips, fewer videos per batch), prepared videos '
            '(tools/dataset_converters/prepare_videos.py), a faster disk. '
            'tools/analysis_tools/plan_run.py says what would be won, benchmark_loader.py beside '
            'it where the time goes.'
        )


def videos_per_epoch(loader: Any) -> int:
    """Videos that all processes read of a loader in an epoch, those that come again included."""
    own = len(loader) * loader.batch_size if loader.drop_last else len(loader.sampler)
    return own * get_world_size()


def count_views(data_batch: dict) -> tuple[int, int]:
    """Videos of a batch and clips of each, be they one sample or (fine-tuning) one each."""
    inputs = data_batch['inputs']
    clips = sum(len(sample) for sample in inputs)
    last = data_batch.get('data_samples', [{}])[-1]
    views = last.view + 1 if 'view' in last else len(inputs[0])
    return clips // views, views
