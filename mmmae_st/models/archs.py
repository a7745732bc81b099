"""Sizes of encoders, by name."""

# width, depth, heads
ARCHS = {
    'tiny': (192, 12, 3),
    'small': (384, 12, 6),
    'base': (768, 12, 12),
    'large': (1024, 24, 16),
    'huge': (1280, 32, 16),
}


def _resolve_arch(arch: str | dict) -> tuple[int, int, int]:
    if isinstance(arch, str):
        if arch not in ARCHS:
            raise ValueError(f'arch must be one of {sorted(ARCHS)} or a dict, got {arch!r}')
        return ARCHS[arch]
    keys = ('embed_dims', 'depth', 'num_heads')
    if set(arch) != set(keys):
        raise ValueError(f'an arch dict needs exactly the keys {keys}, got {sorted(arch)}')
    if min(arch.values()) < 1:
        raise ValueError(f'the values of arch must be at least 1, got {dict(arch)}')
    return arch['embed_dims'], arch['depth'], arch['num_heads']
