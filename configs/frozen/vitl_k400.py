_base_ = '../_base_/frozen/k400.py'

backbone = dict(type='SpacetimeViT', arch='large')
