"""Section 3: tools/train.py on real files, end to end."""

import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from mmmae_st.datasets.synthetic.clips import ClipSettings, make_clips

from . import runs
from .notes import Notes
from .plan import ROOT, Place, Section, Task

PREPARE = ROOT / 'tools/dataset_converters/prepare_videos.py'
VIDEOS, TIMES, SECONDS = 64, 100, 28.0
TINY_SECONDS = 240.0  # at most: enough logs end it before, however slow a CPU is
SKIPPED = 10  # steps at the start that are not counted
ORDINARY, PREPARED = 'ordinary', 'prepared'


def make_videos(place: Place, notes: Notes) -> None:
    """H.264 of 340 x 256 pixels and ten seconds, as Kinetics has it, and what can be made of it."""
    original = place.folder / 'videos'
    if place.is_tiny:
        number, settings = 4, ClipSettings(num_frames=24, height=48, width=64)
    else:
        number, settings = VIDEOS, ClipSettings(num_frames=300, height=256, width=340)
    start = time.monotonic()
    make_clips(original, number, settings, place.workers)
    note_files(notes, ORDINARY, original, start)
    runs.repeat(original, place.folder / ORDINARY, TIMES)
    if not PREPARE.exists():
        notes.add('left out', what=f'{PREPARE.name} is not in this checkout')
        return
    target, start = place.folder / 'videos_prepared', time.monotonic()
    command = [sys.executable, str(PREPARE), str(original), str(target), '--fps', '7.5']
    subprocess.run(command, check=True)
    note_files(notes, PREPARED, target, start)
    runs.repeat(target, place.folder / PREPARED, TIMES)


def note_files(notes: Notes, kind: str, folder: Path, start: float) -> None:
    """How many files there are, how large, and how long it took to make them."""
    sizes = [path.stat().st_size for path in folder.rglob('*.mp4')]
    notes.add(
        'videos', kind=kind, number=len(sizes), mib=sum(sizes) / 2**20,
        seconds=time.monotonic() - start,
    )  # fmt: skip


def train_on_files(place: Place, notes: Notes, *, size: str, kind: str) -> None:
    """Train for a while, or for some steps, and read the log."""
    videos = place.folder / kind
    if not videos.is_dir():
        notes.add('left out', what=f'there are no {kind} videos')
        return
    name = f'{size}_{kind}'
    batch = 2 if place.is_tiny else dict(b=32, l=32)[size]
    config = runs.write_config(
        place.folder / f'{name}.py', place.config_file(size), videos, place,
        batch=batch, workers=place.workers, log_every=1 if place.is_tiny else 5,
        save_every=10**6, save_last=False,
    )  # fmt: skip
    work_dir = place.folder / name
    enough = SKIPPED + 4
    until = (lambda: len(runs.scalars(work_dir)) >= enough) if place.is_tiny else (lambda: False)
    seconds = TINY_SECONDS if place.is_tiny else SECONDS
    runs.train(config, work_dir, seconds, '--amp', until=until)
    note_rates(place, notes, size, kind, runs.scalars(work_dir))


def note_rates(place: Place, notes: Notes, size: str, kind: str, rows: list[dict]) -> None:
    """Clips a second, and the share of the time that went to waiting for data."""
    counted = [row for row in rows if row['step'] > SKIPPED]
    if not counted:
        raise RuntimeError(f'{len(rows)} logs in {SECONDS:.0f} s are too few')
    seconds = sum(row['time'] for row in counted)
    notes.add(
        'training',
        model=place.model_name(size),
        videos=kind,
        steps=counted[-1]['step'],
        clips_per_second=sum(r['clips_per_second'] * r['time'] for r in counted) / seconds,
        waiting_for_data=sum(row['data_time'] for row in counted) / seconds,
        loss=counted[-1]['loss'],
    )


def _task(size: str, kind: str) -> Task:
    about = f'ViT-{size.upper()} on {kind} videos'
    return Task(f'{size}_{kind}', about, SECONDS + 8, partial(train_on_files, size=size, kind=kind))


SECTION = Section(
    'training',
    'Training end to end',
    0.27,
    (
        Task('videos', 'making the videos', 25, make_videos),
        _task('l', PREPARED),
        _task('l', ORDINARY),
        _task('b', PREPARED),
        _task('b', ORDINARY),
    ),
)
