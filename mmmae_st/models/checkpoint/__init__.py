"""Weights in and out: files, foreign names, loading."""

from .convert import Weights, to_mae_st, to_ours, to_timm
from .describe import summarise
from .files import Checkpoint, read_checkpoint, write_checkpoint
from .loading import LoadReport, fit, init_pretrained, load_pretrained
from .written_config import parse_config

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
    'to_mae_st',
    'to_ours',
    'to_timm',
    'write_checkpoint',
]
