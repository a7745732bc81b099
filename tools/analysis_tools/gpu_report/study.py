"""Section 4: what is left of the time goes to the motion benchmark."""

import json
import math
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from mmmae_st.fileio.atomic_file import written_whole

from .notes import Notes
from .plan import ROOT, Place, Section, Task

RUN = ROOT / 'projects/motion_benchmark/run.py'
ARCHIVE = 'study_results.zip'
LAST_MOMENTS = 20.0  # seconds for the report and for packing
TINY_ENTRY = 'labels/from scratch, 5'


def run_study(place: Place, notes: Notes) -> None:
    """Go on with the rows that end in time, then write the report and pack the results."""
    work = place.folder / 'study'
    if place.earlier is not None and (place.earlier / ARCHIVE).exists():
        shutil.unpack_archive(place.earlier / ARCHIVE, work / 'results')
    scale = 'smoke' if place.is_tiny else 'gpu'
    files = ['--work-dir', str(work), '--data-root', str(place.folder / 'study_clips')]
    command = [sys.executable, str(RUN), '--scale', scale, *files]
    minutes = (place.end - time.monotonic() - LAST_MOMENTS) / 60
    options = ['--minutes', f'{max(minutes, 0):.2f}'] if math.isfinite(minutes) else []
    options += ['--entries', TINY_ENTRY] if place.is_tiny else []
    process = subprocess.Popen([*command, *options])
    try:
        while process.poll() is None and time.monotonic() < place.end - LAST_MOMENTS:
            time.sleep(0.5)
            pack(work / 'results', place.out)
    finally:
        process.send_signal(signal.SIGTERM)  # it ends its workers; nothing happens when it is over
        try:
            process.wait(LAST_MOMENTS / 4)
        except subprocess.TimeoutExpired:
            process.kill()
    pack(work / 'results', place.out)
    subprocess.run([*command, '--report', '--out', str(work)], check=True)
    results = json.loads((work / 'results.json').read_text())
    for row in results['rows']:
        if row['seeds']:
            figures = {name: metric['mean'] for name, metric in row['metrics'].items()}
            notes.add(row['question'], row=row['row'], seeds=str(row['seeds']), **figures)


def pack(results: Path, out: Path) -> None:
    """Bring the finished measurements out as one file, when there are new ones."""
    files = {path.name: path for path in results.glob('[!.]*.json')}  # not what is being written
    archive = out / ARCHIVE
    packed: list[str] = []
    if archive.exists():
        with zipfile.ZipFile(archive) as file:
            packed = file.namelist()
    if files.keys() - set(packed):
        with written_whole(archive) as temporary, zipfile.ZipFile(temporary, 'w') as file:
            for name, path in sorted(files.items()):
                file.write(path, name)


SECTION = Section(
    'study',
    'Motion benchmark',
    0.15,
    (Task('study', 'headline rows first, as far as the time goes', 60, run_study, True),),
)
