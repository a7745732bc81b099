"""Functions that newer Pythons have dropped."""

import pkgutil

from mmengine.utils.dl_utils.misc import mmcv_full_available

from mmmae_st.compat.python import install


def test_mmengine_runs_where_find_loader_is_gone(monkeypatch):
    expected = mmcv_full_available()
    monkeypatch.delattr(pkgutil, 'find_loader')
    install()
    assert mmcv_full_available() == expected
