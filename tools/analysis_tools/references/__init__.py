"""Compact models of other codes: their parameter names and mathematics, written the plain way.

Attention is an explicit softmax, every patch is embedded before any is removed, tokens are put
back in order before decoding. They serve to compare outputs and to measure against.
"""
