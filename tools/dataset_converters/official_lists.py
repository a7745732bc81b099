"""Readers of the annotations that Kinetics, SSv2, UCF101 and HMDB51 are published with.

Nothing of a file is used as a path: the names found here are looked up among the videos there are.
"""

import csv
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Entry:
    """A listed video: the names it may have, without extension, and its class if that is known."""

    names: tuple[str, ...]
    label: str | None


def read_kinetics(path: str) -> list[Entry]:
    """Kinetics CSV (label, youtube_id, time_start, time_end, ...) or JSON, by its extension.

    Lists of a test set have no labels.

    Raises:
        ValueError: The file is not in that form.
    """
    entries = []
    if path.endswith('.json'):
        content = _load_json(path, dict)
        for video, record in content.items():
            try:
                annotations = record['annotations']
                begin, end = annotations['segment']
                entries.append(_kinetics_entry(video, begin, end, annotations.get('label')))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f'{path}, {video!r}: not a Kinetics annotation') from error
    else:
        with open(path, newline='', encoding='utf-8-sig') as file:
            reader = csv.DictReader(file)
            needed = {'youtube_id', 'time_start', 'time_end'}
            if not needed <= set(reader.fieldnames or ()):
                raise ValueError(
                    f'{path}: expected columns {sorted(needed)}, got {reader.fieldnames}'
                )
            for row in reader:
                try:
                    begin, end = row['time_start'], row['time_end']
                    entries.append(_kinetics_entry(row['youtube_id'], begin, end, row.get('label')))
                except (TypeError, ValueError) as error:
                    where = f'{path}, line {reader.line_num}'
                    raise ValueError(f'{where}: not a Kinetics annotation: {row}') from error
    return _not_empty(entries, path)


def _kinetics_entry(video: str, begin: Any, end: Any, label: str | None) -> Entry:
    cut = f'{video}_{int(float(begin)):06d}_{int(float(end)):06d}'
    return Entry((cut, video), label.strip() if label else None)


def read_ssv2(path: str, answers: str | None = None) -> list[Entry]:
    """Something-Something V2 JSON: records with ``id`` and ``template``.

    The test set has ids only; its answers come from a CSV of ``id;label``.

    Raises:
        ValueError: A file is not in that form.
    """
    labels = {}
    if answers is not None:
        for line in _lines(answers):
            video, separator, answer = line.partition(';')
            if not separator:
                raise ValueError(f'{answers}: expected "id;label", got {line!r}')
            labels[video.strip()] = answer.strip()
    entries = []
    for record in _load_json(path, list):
        if not isinstance(record, dict) or 'id' not in record:
            raise ValueError(f'{path}: expected records with an id, got {record!r}')
        video = str(record['id'])
        template = record.get('template')
        label = labels.get(video) if template is None else re.sub(r'[\[\]]', '', template)
        entries.append(Entry((video,), label))
    return _not_empty(entries, path)


def read_ssv2_classes(path: str) -> list[str]:
    """Class names of ``labels.json``, ``{name: "number"}``, in the order of the numbers."""
    return _in_order({name: int(number) for name, number in _load_json(path, dict).items()}, path)


def read_ucf101(path: str) -> list[Entry]:
    """UCF101 trainlist or testlist: ``Class/v_Class_g01_c01.avi``, in training with a number.

    Raises:
        ValueError: A line has no class folder.
    """
    entries = []
    for line in _lines(path):
        label, _, name = line.split()[0].partition('/')
        if not name:
            raise ValueError(f'{path}: expected "Class/video.avi", got {line!r}')
        entries.append(Entry((os.path.splitext(name)[0],), label))
    return _not_empty(entries, path)


def read_ucf101_classes(path: str) -> list[str]:
    """Class names of ``classInd.txt``, lines of number (from 1) and name."""
    numbers = {}
    for line in _lines(path):
        number, _, name = line.partition(' ')
        if not number.isdigit() or not name:
            raise ValueError(f'{path}: expected "number class", got {line!r}')
        numbers[name.strip()] = int(number) - 1
    return _in_order(numbers, path)


def read_hmdb51(folder: str, split: int, subset: str) -> list[Entry]:
    """HMDB51 splits: ``CLASS_test_splitN.txt``, lines of file name and 1 (train), 2 (test), 0.

    Raises:
        ValueError: There are none in the folder, or a line is malformed.
    """
    ending = f'_test_split{split}.txt'
    files = sorted(name for name in os.listdir(folder) if name.endswith(ending))
    if not files:
        raise ValueError(f'{folder!r} holds no file named CLASS{ending}')
    wanted = {'train': '1', 'test': '2'}[subset]
    entries = []
    for file in files:
        for line in _lines(os.path.join(folder, file)):
            name, _, kind = line.rpartition(' ')
            if kind not in ('0', '1', '2') or not name:
                raise ValueError(f'{file}: expected "video.avi 0|1|2", got {line!r}')
            if kind == wanted:
                stem = os.path.splitext(name.strip())[0]
                entries.append(Entry((stem,), file.removesuffix(ending)))
    return _not_empty(entries, folder)


def _in_order(numbers: dict[str, int], path: str) -> list[str]:
    names = sorted(numbers, key=numbers.__getitem__)
    if [numbers[name] for name in names] != list(range(len(names))) or not names:
        raise ValueError(f'{path}: the classes are not numbered without gaps')
    return names


def _load_json(path: str, kind: type) -> Any:
    with open(path, encoding='utf-8-sig') as file:
        try:
            content = json.load(file)
        except json.JSONDecodeError as error:
            raise ValueError(f'{path}: not JSON: {error}') from error
    if not isinstance(content, kind):
        raise ValueError(f'{path}: expected a JSON {kind.__name__}, got {type(content).__name__}')
    return content


def _lines(path: str) -> Iterable[str]:
    with open(path, encoding='utf-8-sig') as file:
        return [line.strip() for line in file if line.strip()]


def _not_empty(entries: list[Entry], path: str) -> list[Entry]:
    if not entries:
        raise ValueError(f'{path}: names no video')
    return entries
