"""Sizes of encoders, by name."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Arch(NamedTuple):
    """Width, number of blocks and attention heads of an encoder."""

    embed_dims: int
    depth: int
    num_heads: int


ARCHS = {
    'tiny': Arch(192, 12, 3),
    'small': Arch(384, 12, 6),
    'base': Arch(768, 12, 12),
    'large': Arch(1024, 24, 16),
    'huge': Arch(1280, 32, 16),
    'giant': Arch(1408, 40, 16),  # of VideoMAE V2, with patch_size=14 and mlp_ratio=48/11
    'giant_xformers': Arch(1408, 40, 22),  # ViT-g of V-JEPA 2, with patch_size=16, mlp_ratio=48/11
}


def resolve_arch(arch: str | Mapping[str, Any]) -> Arch:
    """The size that a name or a dict means.

    Args:
        arch: A name in ``ARCHS``, or a dict with ``embed_dims``, ``depth`` and ``num_heads``.

    Raises:
        ValueError: For an unknown name, other keys, or values below 1.
    """
    if isinstance(arch, str):
        if arch not in ARCHS:
            raise ValueError(f'arch must be one of {sorted(ARCHS)} or a dict, got {arch!r}')
        return ARCHS[arch]
    if set(arch) != set(Arch._fields):
        raise ValueError(f'an arch dict needs exactly the keys {Arch._fields}, got {sorted(arch)}')
    if min(arch.values()) < 1:
        raise ValueError(f'the values of arch must be at least 1, got {dict(arch)}')
    return Arch(**arch)
