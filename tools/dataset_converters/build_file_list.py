r"""Build an annotation list, ``path label`` a line, from folders or from official annotations.

    python tools/dataset_converters/build_file_list.py SOURCE ... VIDEO_ROOT --out LIST \
        --classes CLASSES

    folder   VIDEO_ROOT                          one sub-folder a class
    plain    VIDEO_ROOT                          no labels, for pretraining on any folder
    kinetics train.csv|train.json VIDEO_ROOT     Kinetics-400/600/700
    ssv2     train.json VIDEO_ROOT --labels labels.json     Something-Something V2
    ucf101   trainlist01.txt VIDEO_ROOT --class-index classInd.txt
    hmdb51   SPLIT_FOLDER VIDEO_ROOT --split 1 --subset train

Paths are relative to VIDEO_ROOT. Videos are found by name wherever they lie below it and whatever
their extension, so originals and re-encoded videos both do. Listed videos that are not there are
counted and named in ``LIST.missing.txt``. CLASSES holds the class names, the line number from 0
being the label: it is read if it exists, which is how validation gets the labels of training, and
written otherwise (with the official order where there is one, else alphabetically).
"""

import argparse
import os
from collections.abc import Sequence

from common import list_lines, write_lines
from official_lists import (
    Entry,
    read_hmdb51,
    read_kinetics,
    read_ssv2,
    read_ssv2_classes,
    read_ucf101,
    read_ucf101_classes,
)

from mmmae_st.command_line import short_errors, tool_parser
from mmmae_st.datasets.annotations import scan_folder
from mmmae_st.fileio.atomic_file import require_writable

SEPARATORS = {'space': ' ', 'tab': '\t', 'comma': ','}


class VideoIndex:
    """Where the videos below a folder are, by name.

    Args:
        root: The folder.

    Raises:
        FileNotFoundError, ValueError: The folder does not exist, or holds no video.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.by_name: dict[str, list[str]] = {}
        for record in scan_folder(root):
            name = os.path.splitext(os.path.basename(record['path']))[0]
            self.by_name.setdefault(name, []).append(record['path'])

    def find(self, entry: Entry) -> str | None:
        """Path of a video relative to the root; None if it is not there.

        Raises:
            ValueError: If several files answer to the name.
        """
        for name in entry.names:
            found = self.by_name.get(name, [])
            if len(found) > 1 and entry.label is not None:
                folders = (entry.label, entry.label.replace(' ', '_'))
                found = [p for p in found if os.path.basename(os.path.dirname(p)) in folders]
            if len(found) > 1:
                raise ValueError(
                    f'video {name!r} is there {len(found)} times below {self.root!r} ({found[0]}, '
                    f'{found[1]}, ...): name a folder that holds one set'
                )
            if found:
                return found[0]
        return None


def entries_of_folder(root: str) -> list[tuple[str, str]]:
    """Path and class of every video, the class being the first folder of the path."""
    pairs = []
    for record in scan_folder(root):
        label, _, rest = record['path'].replace(os.sep, '/').partition('/')
        if not rest:
            raise ValueError(f'{record["path"]!r} lies in no class folder of {root!r}')
        pairs.append((record['path'], label))
    return pairs


def class_ids(path: str, official: Sequence[str] | None, seen: set[str]) -> dict[str, int]:
    """Label of each class name, from the class file if it exists; else it is written.

    Raises:
        ValueError: If a class that is seen is not in the file or the official list.
    """
    if os.path.exists(path):
        with open(path, encoding='utf-8') as file:
            names = [line.strip() for line in file if line.strip()]
        origin = repr(path)
    else:
        names, origin = list(official or sorted(seen)), 'the official class list'
    unknown = sorted(seen - set(names))
    if unknown:
        raise ValueError(f'{len(unknown)} classes are not in {origin}, the first: {unknown[0]!r}')
    if not os.path.exists(path):
        write_lines(path, names)
    return {name: number for number, name in enumerate(names)}


def build(args: argparse.Namespace) -> str:
    """Write the list; returns what to tell the user.

    Raises:
        OSError, ValueError: Something given does not exist, is malformed or does not fit.
    """
    separator = SEPARATORS[args.separator]
    official: list[str] | None = None
    missing: list[str] = []
    pairs: list[tuple[str, str | None]]
    if args.source == 'plain':
        pairs = [(record['path'], None) for record in scan_folder(args.video_root)]
    elif args.source == 'folder':
        pairs = list(entries_of_folder(args.video_root))
    else:
        entries, official = read_entries(args)
        index = VideoIndex(args.video_root)
        pairs = []
        for entry in entries:
            path = index.find(entry)
            if path is None:
                missing.append(entry.names[0])
            else:
                pairs.append((path, entry.label))
        if not pairs:
            raise ValueError(
                f'none of the {len(entries)} listed videos is below {args.video_root!r}; the '
                f'first would be named {" or ".join(entries[0].names)}'
            )
    labels = {label for _, label in pairs if label is not None}
    if not labels:
        records = [dict(path=path) for path, _ in pairs]
        about = 'without labels'
    elif any(label is None for _, label in pairs):
        raise ValueError('some of the listed videos have a label and others have none')
    elif args.classes is None:
        raise ValueError('--classes is needed for a list with labels')
    else:
        ids = class_ids(args.classes, official, labels)
        records = [dict(path=path, label=ids[label]) for path, label in pairs]  # type: ignore[index]
        about = f'of {len(labels)} classes ({len(ids)} in {args.classes})'
    write_lines(args.out, list_lines(records, separator))
    report = f'{args.out}: {len(pairs)} videos {about}'
    missing_path = f'{args.out}.missing.txt'
    if missing:
        write_lines(missing_path, missing)
        listed = len(pairs) + len(missing)
        report += f'; {len(missing)} of {listed} listed are not there, see {missing_path}'
    elif os.path.exists(missing_path):
        os.remove(missing_path)
    return report


def read_entries(args: argparse.Namespace) -> tuple[list[Entry], list[str] | None]:
    """Videos of an official list, and the official order of the classes if there is one."""
    if args.source == 'kinetics':
        return read_kinetics(args.annotations), None
    if args.source == 'ssv2':
        return read_ssv2(args.annotations, args.answers), read_ssv2_classes(args.labels)
    if args.source == 'ucf101':
        return read_ucf101(args.annotations), read_ucf101_classes(args.class_index)
    return read_hmdb51(args.annotations, args.split, args.subset), None


def parse_args() -> argparse.Namespace:
    """Command line; see ``--help``."""
    parser = tool_parser(__doc__, defaults=False)
    sources = parser.add_subparsers(dest='source', required=True, metavar='SOURCE')
    for name in ('folder', 'plain', 'kinetics', 'ssv2', 'ucf101', 'hmdb51'):
        source = sources.add_parser(name)
        if name not in ('folder', 'plain'):
            source.add_argument('annotations', help='official annotations')
        source.add_argument('video_root', help='folder of videos, sub-folders included')
        source.add_argument('--out', required=True, help='list to write')
        source.add_argument('--classes', help='class names, read if it exists, else written')
        source.add_argument(
            '--separator', choices=list(SEPARATORS), default='space', help='between path and label'
        )
        if name == 'ssv2':
            source.add_argument('--labels', required=True, help='official labels.json')
            source.add_argument('--answers', help='CSV of id;label, for the test set')
        elif name == 'ucf101':
            source.add_argument('--class-index', required=True, help='official classInd.txt')
        elif name == 'hmdb51':
            source.add_argument('--split', type=int, choices=[1, 2, 3], required=True)
            source.add_argument('--subset', choices=['train', 'test'], required=True)
    return parser.parse_args()


def main() -> None:
    """Build the list."""
    args = parse_args()
    with short_errors():
        require_writable(args.out)
        print(build(args))


if __name__ == '__main__':
    main()
