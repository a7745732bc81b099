"""How long measurements will take on this machine, from a few steps that are timed beforehand."""

import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mmengine.config import Config

from . import compute
from .clips import LABEL_SETS
from .finetuning import Finetuning, finetuning_config
from .measure import Job, checkpoint_file, read_result
from .pretraining import Pretraining, pretraining_config
from .runner import Site, run_training
from .study import ALL, DEFAULT, Entry, Measurement

TIMED_STEPS = 8  # of an epoch, of which two are run: the first shows the start, the second the step
FORWARD = 0.5  # what a forward pass takes of a training step, with some room for the probe


@dataclass(frozen=True)
class Pace:
    """Seconds of a training step, loading included, and of starting a run.

    Attributes:
        pretraining: Step of the default pretraining.
        classifier: Step of fine-tuning with 20 labels per class.
        start: From the config to the first step, and the end.
    """

    pretraining: float
    classifier: float
    start: float


def measure_pace(site: Site) -> Pace:
    """Run a few steps of each kind."""
    schedule = site.scale.finetune[20]
    pretraining, start = _time(pretraining_config(site, DEFAULT, 0), site)
    classifier, _ = _time(
        finetuning_config(site, Finetuning(20), schedule, 0, is_scratch=True), site
    )
    return Pace(pretraining, classifier, start)


def _time(cfg: Config, site: Site) -> tuple[float, float]:
    """Seconds of a step, and of everything else."""
    loader = cfg.train_dataloader
    indices = loader.dataset.get('indices') or range(site.scale.clips.num_train)
    loader.dataset.indices = list(indices)[: TIMED_STEPS * loader.batch_size]
    cfg.train_cfg.max_epochs = 2
    begin = time.perf_counter()
    _, record = run_training(cfg)
    whole = time.perf_counter() - begin
    half = len(record.times) // 2
    steps = [b - a for a, b in zip(record.times[half:], record.times[half + 1 :], strict=False)]
    step = statistics.median(steps)
    return step, max(whole - step * len(record.times), 0.0)


class Plan:
    """Seconds that measurements will take, by the pace of this machine.

    A pretraining that needs fewer operations than the default is taken to need as long: a fast
    device waits for loading and for Python. Its time counts where its weights are first needed.

    Args:
        site: The study.
        pace: Of this machine.
    """

    def __init__(self, site: Site, pace: Pace) -> None:
        self.site = site
        self.pace = pace
        self._default = compute.multiply_adds(site, DEFAULT)[0]
        self._pretraining: dict[Pretraining, float] = {}

    def seconds(self, jobs: Iterable[Job]) -> float:
        """Of measurements that are done one after the other."""
        return self._seconds(jobs, set())

    def table(self, rows: Sequence[tuple[Entry, int]], minutes: float) -> str:
        """One line a row: minutes of it, minutes till its end, and whether it can be begun.

        Args:
            rows: With seeds, in the order in which they are run.
            minutes: That may be used.
        """
        made: set[tuple[Pretraining, int]] = set()
        done: set[Job] = set()
        lines, total = [f'{"row":<42}{"seed":>4}{"minutes":>9}{"till then":>11}'], 0.0
        for entry, seed in rows:
            jobs = [(m, seed) for m in entry.measurements]
            jobs = [job for job in jobs if job not in done and read_result(self.site, job) is None]
            needed = self._seconds(jobs, set(made)) / 60
            name, note = f'{entry.question}/{entry.row}', ''
            if not jobs:
                note = '  done'
            elif total + needed > minutes:
                lines.append(f'{name:<42}{seed:>4}{needed:>9.1f}{"":>11}  not begun: no time left')
                continue
            self._seconds(jobs, made)
            done.update(jobs)
            total += needed
            lines.append(f'{name:<42}{seed:>4}{needed:>9.1f}{total:>11.1f}{note}')
        pace = self.pace
        return '\n'.join(
            [
                f'a step takes {1e3 * pace.pretraining:.0f} ms in pretraining and '
                f'{1e3 * pace.classifier:.0f} ms in fine-tuning, starting a run {pace.start:.1f} s',
                *lines,
            ]
        )

    def _seconds(self, jobs: Iterable[Job], made: set[tuple[Pretraining, int]]) -> float:
        """As :meth:`seconds`; ``made`` are pretrainings that are there by then, and gets more."""
        total = 0.0
        for measurement, seed in jobs:
            source = measurement.pretraining
            if source is not None and measurement.kind != 'time' and (source, seed) not in made:
                made.add((source, seed))
                if not checkpoint_file(self.site, source, seed).exists():
                    total += self._of_pretraining(source)
            total += self._of_measurement(measurement)
        return total

    def _of_pretraining(self, options: Pretraining) -> float:
        if options not in self._pretraining:
            scale = self.site.scale
            ratio = compute.multiply_adds(self.site, options)[0] / self._default
            steps = scale.pretrain.epochs * -(-scale.clips.num_train // scale.pretrain.batch)
            step = self.pace.pretraining * max(ratio, 1.0)
            self._pretraining[options] = self.pace.start + steps * step
        return self._pretraining[options]

    def _of_measurement(self, measurement: Measurement) -> float:
        scale, start = self.site.scale, self.pace.start
        clip = self.pace.classifier / scale.finetune[20].batch
        test = FORWARD * clip * scale.clips.num_test
        if measurement.kind == 'time':
            return start + 36 * self.pace.pretraining  # 18 steps, sparse and dense
        if measurement.kind == 'frozen':
            return start + test + FORWARD * clip * scale.clips.num_train
        labels = scale.all_labels if measurement.labels == ALL else measurement.labels
        epochs = scale.finetune[labels].epochs
        if measurement.equal_compute:
            epochs = compute.equal_compute_epochs(self.site, DEFAULT, labels, measurement.label_set)
        clips = labels * len(LABEL_SETS[measurement.label_set])
        return start + test + epochs * clips * clip
