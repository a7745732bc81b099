from types import SimpleNamespace

import pytest
from support.scripted import Scripted, make_runner

from mmmae_st.engine import FeatureMonitorHook
from mmmae_st.engine.hooks import feature_monitor


def test_another_model_is_refused(tmp_path):
    hooks = dict(checkpoint=None, monitor=dict(type='FeatureMonitorHook'))
    with pytest.raises(ValueError, match='SpatiotemporalMAE, not a Scripted'):
        make_runner(tmp_path, hooks=hooks).train()


def test_a_sharded_model_and_a_run_without_epochs_are_refused(monkeypatch):
    monkeypatch.setattr(feature_monitor, 'SpatiotemporalMAE', Scripted)
    runner = SimpleNamespace(model=Scripted(float), train_loop=object())
    with pytest.raises(ValueError, match=r'counts epochs, not train_cfg\.type=object'):
        FeatureMonitorHook().before_train(runner)
    monkeypatch.setattr(feature_monitor, 'is_sharded', lambda model: True)
    with pytest.raises(ValueError, match='with FSDP holds a part'):
        FeatureMonitorHook().before_train(runner)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match='interval must be at least 1, got 0'):
        FeatureMonitorHook(interval=0)
    with pytest.raises(ValueError, match='num_videos must be at least 8, got 7'):
        FeatureMonitorHook(num_videos=7)
    with pytest.raises(ValueError, match='num_clips must be at least 2, got 1'):
        FeatureMonitorHook(num_clips=1)
    with pytest.raises(ValueError, match="the keys 'train' and 'test'"):
        FeatureMonitorHook(labelled=dict(train={}))
