"""Prepared videos beside their originals: which file is which, how large, how alike."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mmmae_st.datasets.prepared import SETTINGS_FILE

CONVERTERS = Path(__file__).parents[2] / 'dataset_converters'


def prepared_files(files: Sequence[str], given: Sequence[str] | None, folder: str) -> list[str]:
    """What files have become in the folder that ``prepare_videos.py`` wrote.

    Args:
        files: Originals.
        given: ``--videos``; must be the one folder that was prepared.
        folder: ``--prepared``.

    Raises:
        ValueError: ``given`` is not one folder.
        FileNotFoundError: A file has not been prepared.
    """
    if not given or len(given) != 1 or not os.path.isdir(given[0]):
        raise ValueError('--prepared goes with --videos FOLDER, the folder that was prepared')
    found = []
    for file in files:
        below = os.path.relpath(file, os.path.abspath(given[0]))
        found.append(os.path.abspath(os.path.join(folder, below)))
        found[-1] = os.path.splitext(found[-1])[0] + '.mp4'
        if not os.path.isfile(found[-1]):
            raise FileNotFoundError(f'--prepared: {found[-1]} is not there')
    return found


def compare(originals: Sequence[str], prepared: Sequence[str], folder: str) -> dict:
    """Megabytes and likeness.

    Args:
        originals: Files.
        prepared: What they have become.
        folder: Where that is, with the settings that it was made with.

    Returns:
        ``mb`` of all originals and of all that was made of them, and ``psnr`` in dB of each
        prepared video, at 224 pixels, against the same frames of its original; None where the
        folder does not hold its settings.
    """
    sizes = [sum(map(os.path.getsize, files)) / 1e6 for files in (originals, prepared)]
    likeness = None
    settings = Path(folder, SETTINGS_FILE)
    if settings.is_file():
        sys.path.append(str(CONVERTERS))
        from encoding import Job, Settings
        from trial import psnr

        made_with = Settings(**json.loads(settings.read_text(encoding='utf-8')))
        pairs = zip(originals, prepared, strict=True)
        likeness = [psnr(Job(*pair, made_with, None)) for pair in pairs]
    return dict(mb=sizes, psnr=likeness)


def report(rows: dict[str, dict], compared: dict) -> None:
    """Print what preparing wins over the same loader, and over mmaction2's, on the originals.

    Args:
        rows: Of the loaders, by name.
        compared: As of :func:`compare`.
    """
    ours = rows['ours']
    print(f'\n{"prepared":34} {"clips/s":>8} {"over originals":>15} {"over mmaction2":>15}')
    for row in (row for name, row in rows.items() if name.startswith('prepared')):
        mmaction2 = row['over_mmaction2']
        print(
            f'{row["label"]:34} {row["clips_per_second"]:8.2f} {1 / row["ours_over_this"]:15.2f} '
            f'{"" if mmaction2 is None else format(mmaction2, ".2f"):>15}'
        )
    before, after = compared['mb']
    print(f'{before:.1f} MB of originals ({ours["clips_per_second"]:.2f} clips/s), {after:.1f} MB')
    if compared['psnr']:
        mean = sum(compared['psnr']) / len(compared['psnr'])
        print(f'PSNR at 224 pixels {mean:.1f} dB, least {min(compared["psnr"]):.1f}')
