"""Drawn clips, to train on where there is no video."""
