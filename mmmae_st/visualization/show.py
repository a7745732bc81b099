"""Pictures on the screen."""

import numpy as np


def show_picture(picture: np.ndarray) -> None:
    """Show a uint8 RGB picture (H, W, 3): below the cell of a notebook, or in a window."""
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(picture.shape[1] / 100, picture.shape[0] / 100))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(picture)
    axes.axis('off')
    pyplot.show()
    pyplot.close(figure)
