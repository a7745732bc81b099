"""What a pipeline holds after loading, without a picture in it."""

import numpy as np


def blank_clips(num_clips: int = 3, shape: tuple = (16, 224, 224)) -> dict:
    frames = [np.zeros((*shape[1:], 3), np.uint8)] * shape[0]
    return dict(
        clips=[frames] * num_clips,
        rngs=[np.random.default_rng((0, 0, 0, view)) for view in range(num_clips)],
    )
