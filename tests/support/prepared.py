"""What tools/dataset_converters/prepare_videos.py has made."""

import json

import numpy as np

from mmmae_st.datasets.readers import PyAVReader


def read(path):
    """All frames of a video, and when they appear."""
    with PyAVReader(str(path)) as reader:
        frames = reader.read(range(reader.num_frames))
        return np.stack([frames[i] for i in range(reader.num_frames)]), reader.times


def manifest(folder):
    lines = (folder / 'manifest.jsonl').read_text().splitlines()
    return {record['source']: record for record in map(json.loads, lines)}
