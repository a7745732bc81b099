"""Metrics, and evaluation of frozen encoders; importing this package registers the metrics."""

from mmmae_st.evaluation.frozen_features import Features, extract_features
from mmmae_st.evaluation.knn import knn_accuracy
from mmmae_st.evaluation.probes import AttentiveProbe, LinearProbe, probe_accuracy
from mmmae_st.evaluation.reconstruction_loss import ReconstructionLoss

__all__ = [
    'AttentiveProbe',
    'Features',
    'LinearProbe',
    'ReconstructionLoss',
    'extract_features',
    'knn_accuracy',
    'probe_accuracy',
]
