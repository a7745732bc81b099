"""Tells from a few clips, without labels, whether the encoder gets better."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.dist import all_gather_object, get_dist_info, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import Dataset

from mmmae_st.engine.runner.wrapped_model import is_sharded, unwrapped
from mmmae_st.evaluation.held_out import VideoClips, held_out_config, pick, read_clips
from mmmae_st.evaluation.labelled import accuracies, labelled_features
from mmmae_st.evaluation.monitor_reading import diagnosis, summary_line
from mmmae_st.evaluation.monitoring import MIN_VIDEOS, measures_of, outputs_of
from mmmae_st.models import SpatiotemporalMAE
from mmmae_st.registry import DATASETS, HOOKS

HISTORY = 'feature_monitor'
MAX_SHARE = 0.02  # of the time of training


@HOOKS.register_module()
class FeatureMonitorHook(Hook):
    """Measures frozen features of a few clips every ``interval`` epochs, and says what they tell.

    The clips come from training's own pipeline and are decoded once. What is measured is listed
    in ``measures_of`` and docs/monitor.md: effective rank, LiDAR, lost directions, similarity and
    retrieval, small probes of time, and the loss against trivial ones. All goes to the visualiser
    as ``monitor/...``, one line to the log, and one warning, once for each cause, when the features
    have collapsed or the run has stalled. It is done before the first step (unless resumed) and
    after the last one, too.

    Training is not touched: no generator of the run is used, and a resumed run goes on with the
    measurements of its checkpoint. Several processes share the videos and give one result.

    Args:
        interval: Epochs from one measurement to the next.
        num_videos: Videos to measure; all there are if fewer.
        num_clips: Clips of each, at least 2.
        dataset: Arguments of the training dataset that are different for the videos to measure,
            for instance ``dict(ann_file='val.txt')``. By default the videos are those of
            ``val_dataloader``, and without one they are videos of training.
        labelled: ``dict(train=..., test=...)``, each as ``dataset``, of videos with labels: k-NN
            and a linear probe are trained on one set and tested on the other. All their clips are
            kept in memory.

    Raises:
        ValueError: For an impossible argument, naming it; at the start of training, for another
            model than the autoencoder, one that is sharded, or a run that counts no epochs.
    """

    priority = 'LOW'

    def __init__(
        self,
        interval: int = 5,
        num_videos: int = 64,
        num_clips: int = 4,
        dataset: dict | None = None,
        labelled: dict[str, dict] | None = None,
    ) -> None:
        for name, value, least in (
            ('interval', interval, 1),
            ('num_videos', num_videos, MIN_VIDEOS),
            ('num_clips', num_clips, 2),
        ):
            if value < least:
                raise ValueError(f'{name} must be at least {least}, got {value}')
        if labelled is not None and set(labelled) != {'train', 'test'}:
            raise ValueError(f"labelled must have the keys 'train' and 'test', got {labelled}")
        self.interval = interval
        self.num_videos = num_videos
        self.num_clips = num_clips
        self.dataset = dataset
        self.labelled = labelled
        self._clips: list[VideoClips] = []
        self._labelled_clips: dict[str, list[VideoClips]] = {}
        self._is_active = True
        self._warned: set[str] = set()
        self._began = 0.0
        self._spent = 0.0

    def before_train(self, runner: Runner) -> None:
        """Read the clips; measure what the run starts from."""
        _require_fitting(runner)
        self._began, self._spent = time.perf_counter(), 0.0
        self._read(runner)
        if runner.iter == 0:
            runner.message_hub.update_info(HISTORY, [])
            self._measure(runner, epoch=0)

    def after_train_epoch(self, runner: Runner) -> None:
        """Measure when it is time."""
        epoch = runner.epoch + 1
        if epoch % self.interval == 0 or epoch == runner.max_epochs:
            self._measure(runner, epoch)

    def _read(self, runner: Runner) -> None:
        start = time.perf_counter()
        source, cfg = held_out_config(runner.cfg, self.dataset)
        dataset = DATASETS.build(cfg)
        chosen = pick(len(dataset), self.num_videos)
        self._clips = self._read_own(dataset, chosen)
        number = sum(all_gather_object(len(self._clips)))
        self._is_active = number >= MIN_VIDEOS
        if not self._is_active:
            runner.logger.warning(
                f'FeatureMonitorHook measures nothing: it needs {MIN_VIDEOS} readable videos, and '
                f'there are {number} {source}'
            )
            return
        for part, arguments in (self.labelled or {}).items():
            dataset = DATASETS.build(held_out_config(runner.cfg, arguments)[1])
            self._labelled_clips[part] = self._read_own(dataset, list(range(len(dataset))))
        runner.logger.info(
            f'FeatureMonitorHook measures {number} videos {source}, {self.num_clips} clips of '
            f'each, read in {time.perf_counter() - start:.1f} s'
        )

    def _read_own(self, dataset: Dataset, indices: list[int]) -> list[VideoClips]:
        """The part of this process."""
        rank, world_size = get_dist_info()
        return read_clips(dataset, indices[rank::world_size], self.num_clips)

    def _measure(self, runner: Runner, epoch: int) -> None:
        if not self._is_active:
            return
        start = time.perf_counter()
        model = unwrapped(runner.model)
        was_training = model.training
        model.eval()
        with runner.optim_wrapper.optim_context(model), torch.no_grad():
            outputs = _gathered(outputs_of, model, self._clips, self.num_clips)
            labelled = {
                part: _gathered(labelled_features, model, clips, self.num_clips)
                for part, clips in self._labelled_clips.items()
            }
        model.train(was_training)
        if is_main_process():
            measures = measures_of(outputs)
            if labelled and 'rank' in measures:
                measures.update(accuracies(**labelled))
            self._tell(runner, epoch, measures, len(outputs))
        self._spent += time.perf_counter() - start
        if epoch > 0:
            self._tell_cost(runner)

    def _tell(
        self, runner: Runner, epoch: int, measures: dict[str, float], num_videos: int
    ) -> None:
        history = [*runner.message_hub.get_info(HISTORY, []), dict(epoch=epoch, **measures)]
        runner.message_hub.update_info(HISTORY, history)
        runner.visualizer.add_scalars(
            {f'monitor/{name}': value for name, value in measures.items()}, step=epoch
        )
        width = unwrapped(runner.model).backbone.embed_dims
        runner.logger.info(f'Epoch {epoch}, {summary_line(history, width, num_videos)}')
        found = diagnosis(history)
        if found is not None and found[0] not in self._warned:
            self._warned.add(found[0])
            runner.logger.warning(f'Epoch {epoch}: {found[1]}.')

    def _tell_cost(self, runner: Runner) -> None:
        """Say once that measuring takes more than its share of the time."""
        share = self._spent / (time.perf_counter() - self._began)
        if share > MAX_SHARE and 'cost' not in self._warned:
            self._warned.add('cost')
            enough = math.ceil(self.interval * share / MAX_SHARE)
            runner.logger.info(
                f'FeatureMonitorHook has taken {share:.1%} of the time so far; interval={enough} '
                f'in place of {self.interval}, or fewer num_videos, would make it {MAX_SHARE:.0%}'
            )


def _gathered(
    function: Callable[[SpatiotemporalMAE, VideoClips, int], Any],
    model: SpatiotemporalMAE,
    clips: Sequence[VideoClips],
    num_clips: int,
) -> list:
    """What a function makes of the videos of all processes."""
    own = [function(model, video, num_clips) for video in clips]
    return [result for part in all_gather_object(own) for result in part]


def _require_fitting(runner: Runner) -> None:
    model = unwrapped(runner.model)
    if not isinstance(model, SpatiotemporalMAE):
        raise ValueError(
            'FeatureMonitorHook needs a pretraining, whose model is a SpatiotemporalMAE, not a '
            f'{type(model).__name__}'
        )
    if is_sharded(runner.model):
        raise ValueError(
            'FeatureMonitorHook needs the whole weights in one process, which with FSDP holds a '
            'part of them: leave it out with default_hooks=dict(monitor=None), and use '
            'tools/analysis_tools/monitor.py on the checkpoints'
        )
    if not isinstance(runner.train_loop, EpochBasedTrainLoop):
        raise ValueError(
            'FeatureMonitorHook needs a run that counts epochs, '
            f'not train_cfg.type={type(runner.train_loop).__name__}'
        )
