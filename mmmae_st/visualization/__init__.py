"""Pictures of clips and reconstructions."""

from mmmae_st.visualization.reconstruction import NORMALIZED_NOTE, reconstruction_figure, save_png

__all__ = ['NORMALIZED_NOTE', 'reconstruction_figure', 'save_png']
