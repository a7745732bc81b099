"""Whether the frames that prepared videos have kept are enough for the clips of a pipeline."""

import json
import math
import os
from collections.abc import Iterable

from mmmae_st.datasets.annotations import AnnotationError

# Written beside the videos by tools/dataset_converters/prepare_videos.py.
SETTINGS_FILE = 'prepared.json'


def require_enough_frames(folder: str, transforms: Iterable) -> None:
    """Refuse clips of more frames a second than the videos of a folder were prepared with.

    Args:
        folder: Where the videos are; nothing is asked of one that was not prepared.
        transforms: Those of the pipeline; what matters is ``LoadClips.asked_fps``.

    Raises:
        AnnotationError: Clips would repeat frames, or segments lack some.
    """
    path = os.path.join(folder, SETTINGS_FILE)
    if not os.path.isfile(path):
        return
    with open(path, encoding='utf-8') as file:
        kept = json.load(file)['fps']
    asked = max((getattr(transform, 'asked_fps', 0) for transform in transforms), default=0)
    if kept is not None and asked > kept:
        told = 'all frames' if math.isinf(asked) else f'{asked:g} frames/s'
        raise AnnotationError(
            f'clips ask for {told}, and the videos in {folder!r} were prepared with {kept:g}: '
            'prepare them again with tools/dataset_converters/prepare_videos.py --for CONFIG'
        )
