"""How long a run takes on given machines, and what holds it up: arithmetic, no measuring."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class RunPlan:
    """What is known of a run; None is unknown.

    Attributes:
        gpus: Devices.
        cores: Cores of all machines that may load.
        clips: Clips of the whole run.
        device_rate: Clips/s that one device can take.
        core_rate: Clips/s that one core loads out of the videos as they are.
        prepared_rate: Clips/s that it would load out of prepared ones.
        prepare: How they would be prepared.
    """

    gpus: int
    cores: int
    clips: int | None
    device_rate: float | None
    core_rate: float | None
    prepared_rate: float | None = None
    prepare: str = ''

    def hours(self, core_rate: float | None) -> float | None:
        """Of the run, where a core loads so many clips/s; None where something is unknown."""
        if self.clips is None or self.device_rate is None or core_rate is None:
            return None
        return self.clips / min(self.device_rate * self.gpus, core_rate * self.cores) / 3600

    def lines(self) -> list[str]:
        """The plan in words."""
        device, core = self.device_rate, self.core_rate
        asked = None if device is None else device * self.gpus
        given = None if core is None else core * self.cores
        lines = [
            f'{self.gpus} devices ask for {_rate(asked)} ({_rate(device)} each)',
            f'{self.cores} cores give {_rate(given)} ({_rate(core)} each)',
            f'the run has {_number(self.clips)} clips and takes {_hours(self.hours(core))}',
        ]
        if asked is None or given is None or device is None or core is None:
            return [*lines, 'bottleneck: unknown', *self._mend()]
        needed, there = math.ceil(device / core), self.cores // self.gpus
        lines.append(f'workers: {needed} feed a device, {there} cores are there for each')
        if given < asked:
            lines.append(
                f'bottleneck: loading; the devices wait {1 - given / asked:.0%} of the time. '
                f'train_dataloader.num_workers={max(there, 1)}'
            )
            return lines + self._mend()
        lines.append(f'bottleneck: the devices. train_dataloader.num_workers={needed}')
        return lines

    def _mend(self) -> list[str]:
        if self.core_rate is None or self.prepared_rate is None:
            return []
        now, then = self.hours(self.core_rate), self.hours(self.prepared_rate)
        told = '' if now is None else f', {_hours(then)} instead of {_hours(now)}'
        return [
            f'mend: {self.prepare}: {self.prepared_rate / self.core_rate:.1f} times the clips of a '
            f'core{told}'
        ]


def _rate(value: float | None) -> str:
    return 'an unknown rate' if value is None else f'{value:.3g} clips/s'


def _number(value: int | None) -> str:
    return 'an unknown number of' if value is None else f'{value:,}'


def _hours(value: float | None) -> str:
    return 'an unknown time' if value is None else f'{value:.3g} h'
