"""Where scalars and pictures go: a place that fails does not end a run."""

from logging import WARNING
from typing import Any

import numpy as np
from mmengine.dist import master_only
from mmengine.logging import print_log
from mmengine.visualization import BaseVisBackend, MLflowVisBackend, Visualizer

from mmmae_st.registry import VISUALIZERS


@VISUALIZERS.register_module()
class SafeVisualizer(Visualizer):
    """mmengine's ``Visualizer``; a backend that fails is named and left out from then on.

    Only at the start of a run, when it is given the config, does it end the run: then there is
    something to mend and nothing to lose.

    Args:
        name: Name of the instance.
        vis_backends: Places, or configs of them.
        save_dir: Folder of those that write files; the Runner gives that of its log.
    """

    def __init__(
        self,
        name: str = 'visualizer',
        vis_backends: list[dict | BaseVisBackend] | None = None,
        save_dir: str | None = None,
    ) -> None:
        super().__init__(name, vis_backends=vis_backends, save_dir=save_dir)

    @master_only
    def add_image(self, name: str, image: np.ndarray, step: int = 0) -> None:
        """Give a picture (H, W, 3) uint8 to every backend."""
        for key, backend in list(self._vis_backends.items()):
            is_file = isinstance(backend, MLflowVisBackend)  # takes the name of a file
            self._try(key, 'add_image', f'{name}_{step}.png' if is_file else name, image, step)

    @master_only
    def add_scalar(self, name: str, value: Any, step: int = 0) -> None:
        """Give a number to every backend."""
        for key in list(self._vis_backends):
            self._try(key, 'add_scalar', name, value, step)

    @master_only
    def add_scalars(self, scalar_dict: dict, step: int = 0, file_path: str | None = None) -> None:
        """Give numbers by name to every backend."""
        for key in list(self._vis_backends):
            self._try(key, 'add_scalars', scalar_dict, step, file_path)

    def close(self) -> None:
        """Close every backend."""
        for key in list(self._vis_backends):
            self._try(key, 'close')

    def _try(self, key: str, method: str, *args: Any) -> None:
        try:
            getattr(self._vis_backends[key], method)(*args)
        except Exception as error:  # of any package, or of a network
            del self._vis_backends[key]
            print_log(
                f'{key} fails in {method} and is left out from here on: {error!r}',
                logger='current',
                level=WARNING,
            )
