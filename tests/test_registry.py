from mmengine.registry import Registry, root

from mmmae_st import registry


def test_every_registry_of_mmengine_has_our_scope():
    for name, parent in vars(root).items():
        if isinstance(parent, Registry):
            assert parent.children['mmmae_st'].parent is parent
            ours = getattr(registry, name, None)
            assert ours is None or parent.children['mmmae_st'] is ours
