"""Weights in and out: files, foreign names, loading."""

from mmmae_st.models.weights.convert import Weights, to_mae_st, to_ours, to_timm
from mmmae_st.models.weights.describe import summarise
from mmmae_st.models.weights.files import Checkpoint, read_checkpoint, write_checkpoint
from mmmae_st.models.weights.loading import LoadReport, fit, init_pretrained, load_pretrained
from mmmae_st.models.weights.published import table_of_published
from mmmae_st.models.weights.written_config import parse_config

__all__ = [
    'Checkpoint',
    'LoadReport',
    'Weights',
    'fit',
    'init_pretrained',
    'load_pretrained',
    'parse_config',
    'read_checkpoint',
    'summarise',
    'table_of_published',
    'to_mae_st',
    'to_ours',
    'to_timm',
    'write_checkpoint',
]
