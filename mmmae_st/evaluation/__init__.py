"""Metrics, and evaluation of frozen encoders; importing this package registers the metrics."""

from .features import Features, extract_features
from .knn import knn_accuracy
from .probes import AttentiveProbe, LinearProbe, probe_accuracy
from .reconstruction_loss import ReconstructionLoss

__all__ = [
    'AttentiveProbe',
    'Features',
    'LinearProbe',
    'ReconstructionLoss',
    'extract_features',
    'knn_accuracy',
    'probe_accuracy',
]
