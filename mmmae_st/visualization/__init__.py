"""Pictures of clips and reconstructions."""

from .reconstruction import NORMALIZED_NOTE, reconstruction_figure, save_png

__all__ = ['NORMALIZED_NOTE', 'reconstruction_figure', 'save_png']
