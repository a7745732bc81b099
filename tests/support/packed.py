"""Videos packed into shards, as tools/dataset_converters/pack_videos.py does."""

import importlib
import sys
from pathlib import Path

CONVERTERS = str(Path(__file__).parents[2] / 'tools' / 'dataset_converters')


def pack(
    source: Path, target: Path, list_file: Path | None = None, shard_bytes: float = 1e9
) -> Path:
    """Pack the videos of a folder; returns the index."""
    sys.path.insert(0, CONVERTERS)
    try:
        packing = importlib.import_module('packing')
    finally:
        sys.path.remove(CONVERTERS)
    listed = None if list_file is None else str(list_file)
    assert packing.pack_folder(str(source), str(target), listed, 1, shard_bytes) == 0
    return target / packing.INDEX
