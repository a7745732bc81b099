"""A few videos prepared for trial: what would be won, in size, speed and likeness."""

import os
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from decoding import Scaler, at_rate, new_size, pictures, upright_size
from encoding import Job, run, source_pictures
from mmengine.dataset import Compose

from mmmae_st.datasets.parallel import Outcome, run_parallel
from mmmae_st.registry import TRANSFORMS

PIPELINE = [
    dict(type='LoadClips', num_clips=4),
    dict(type='ClipRandomResizedCrop', size=224),
    dict(type='PackClips'),
]
COMPARED_SIDE = 224


def spread(jobs: Sequence[Job], number: int) -> list[Job]:
    """So many jobs, evenly out of all."""
    chosen = np.unique(np.linspace(0, len(jobs) - 1, min(number, len(jobs))).round().astype(int))
    return [jobs[index] for index in chosen]


def try_out(jobs: Sequence[Job], number: int, workers: int, timeout: float, pipeline: list) -> str:
    """Prepare some videos in a folder that is deleted again, and measure; returns a report."""
    with tempfile.TemporaryDirectory() as folder:
        tried = [
            Job(job.source, os.path.join(folder, f'{i}.mp4'), job.settings, job.folder)
            for i, job in enumerate(spread(jobs, number))
        ]
        begin = time.monotonic()
        outcomes = list(run_parallel(run, tried, workers, timeout))
        seconds = (time.monotonic() - begin) / len(tried)
        made = [outcome.task for outcome in outcomes if outcome.error is None]
        if not made:
            raise ValueError(
                f'none of {len(tried)} videos can be read, the first: {outcomes[0].error}'
            )
        print('\nreading clips and comparing frames ...', flush=True)
        return _report(made, outcomes, seconds * len(jobs), len(jobs), workers, pipeline)


def _report(
    made: list[Job],
    outcomes: list[Outcome],
    seconds: float,
    total: int,
    workers: int,
    pipeline: list,
) -> str:
    sizes = np.array([(size_of(job.source), os.path.getsize(job.target)) for job in made]) / 1e6
    speeds = clips_a_second(made, pipeline)
    likeness = [psnr(job) for job in made]
    before, after = sizes.mean(0)
    settings = made[0].settings
    rate = 'all frames' if settings.fps is None else f'{settings.fps:g} frames/s'
    lines = [
        f'{len(made)} of {total} videos at {settings.short_side} pixels, {rate}, '
        f'{settings.codec} of quality {settings.quality}, a key frame every {settings.key_frames} '
        'frames:',
        f'{"":34}{"before":>10}{"after":>10}',
        f'{"MB a video":34}{before:10.2f}{after:10.2f}  {after / before:.2f} of it',
        f'{"clips/s of one core":34}{speeds[0]:10.1f}{speeds[1]:10.1f}  '
        f'{speeds[1] / speeds[0]:.1f} times',
        f'{f"PSNR at {COMPARED_SIDE} pixels, dB":34}{"":10}{np.mean(likeness):10.1f}  '
        f'least {min(likeness):.1f}',
        f'{"GB of all videos":34}{before * total / 1e3:10.3g}{after * total / 1e3:10.3g}',
        f'all would take {duration(seconds)} with {workers} workers',
    ]
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    lines += [f'unreadable: {outcome.task.source}: {outcome.error}' for outcome in failed]
    return '\n'.join(lines)


def duration(seconds: float) -> str:
    """Days, hours, minutes and seconds."""
    return f'{timedelta(seconds=round(seconds))} (h:mm:ss)'


def size_of(path: str) -> int:
    """Bytes of a file, or of the files of a folder."""
    if os.path.isdir(path):
        return sum(entry.stat().st_size for entry in os.scandir(path) if entry.is_file())
    return os.path.getsize(path)


def clips_a_second(jobs: Sequence[Job], pipeline: list) -> tuple[float, float]:
    """Clips a second of processor time out of the sources and out of what was made of them."""
    transform = Compose([TRANSFORMS.build(dict(step)) for step in pipeline])
    spent, clips = [0.0, 0.0], 0
    for index, job in enumerate(jobs):
        for kind, path in enumerate((job.source, job.target)):
            sample = dict(path=path, sample_key=(0, 0, index), failures=[], label=0)
            if kind == 0 and job.folder is not None:
                sample['frame_tmpl'] = job.folder.template
            begin = time.process_time()
            inputs = transform(sample)['inputs']
            spent[kind] += time.process_time() - begin
        clips += len(inputs)
    return clips / spent[0], clips / spent[1]


def psnr(job: Job) -> float:
    """Mean over the frames, in dB, of a prepared video against its source."""
    scaler, errors = Scaler(), []
    kept = at_rate(source_pictures(job.source, job.folder), job.settings.fps)
    for ours, theirs in zip(pictures(job.target), kept, strict=True):
        size = new_size(*upright_size(theirs.frame), COMPARED_SIDE)
        difference = np.subtract(
            *(scaler.rgb(picture.frame, *size) for picture in (ours, theirs)), dtype=np.float32
        )
        errors.append(max(float(np.square(difference).mean()), 1e-2))
    return float(np.mean(10 * np.log10(255**2 / np.array(errors))))
