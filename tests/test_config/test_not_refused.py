"""What a check must not refuse: whatever the Runner builds."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmmae_st.config import check_config

CONFIGS = Path(__file__).parents[2] / 'configs'


def smoke(**changes):
    cfg = Config.fromfile(CONFIGS / 'smoke.py')
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in changes.items()})
    return cfg


@pytest.mark.parametrize(
    'changes',
    [
        dict(optim_wrapper__clip_grad=dict(type='norm', max_norm=1.0, norm_type=2)),
        dict(optim_wrapper__clip_grad=dict(type='value', clip_value=0.1)),
        dict(train_cfg=dict(by_epoch=False, max_iters=10, val_interval=5, _delete_=True)),
        dict(custom_hooks=[dict(type='ProfilerHook', on_trace_ready=dict(type='tb_trace'))]),
        dict(
            optim_wrapper__optimizer=dict(
                type='ZeroRedundancyOptimizer', optimizer_type='AdamW', lr=1e-3, _delete_=True
            )
        ),
        dict(optim_wrapper__optimizer__type=torch.optim.AdamW),
        dict(default_hooks__reconstruction=None, default_hooks__timer=None),
        dict(default_hooks__ema=dict(type='EMAHook')),
        dict(log_level=20),
        dict(env_cfg__dist_cfg=dict(backend='ccl', timeout=1800)),
        dict(val_evaluator=[dict(type='ReconstructionLoss')]),
        dict(val_evaluator=dict(_delete_=True, metrics=[dict(type='ReconstructionLoss')])),
        dict(param_scheduler=[dict(type='LinearLR', start_factor=0.1, end=2.5)]),
        dict(
            optim_wrapper=dict(
                _delete_=True,
                constructor='OptimWrapperConstructorOfMine',
                encoder=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)),
                decoder=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)),
            )
        ),
    ],
    ids=str,
)
def test_what_the_runner_builds(changes):
    cfg = smoke(**{key: value for key, value in changes.items() if not _replaces(value)})
    for key, value in changes.items():
        if _replaces(value):  # by a command line nothing can be replaced as a whole
            owner, _, name = key.rpartition('__')
            part = cfg
            for step in filter(None, owner.split('__')):
                part = part[step]
            part[name] = {k: v for k, v in value.items() if k != '_delete_'}
    check_config(cfg)


def _replaces(value):
    return isinstance(value, dict) and '_delete_' in value


def test_variables_of_a_config_are_its_own(tmp_path):
    (tmp_path / 'config.py').write_text(
        f'_base_ = {str(CONFIGS / "smoke.py")!r}\n'
        'models = dict(embed_dims=32)\n'
        'train_dataloader_cfg = dict(batch_size=1)\n'
        'train_dataloader = dict(**train_dataloader_cfg)\n'
        'custom_hook = dict(type="EMAHook")\n'
        'custom_hooks = [custom_hook]\n'
    )
    check_config(Config.fromfile(tmp_path / 'config.py'))


def test_a_dict_with_a_type_that_its_owner_alone_knows():
    pytest.importorskip('mmaction')
    cfg = Config.fromfile(CONFIGS / 'finetune/vitb_k400.py')
    cfg.model.cls_head = dict(
        type='TSNHead', num_classes=400, in_channels=768, consensus=dict(type='AvgConsensus', dim=1)
    )
    check_config(cfg)
    cfg.model.cls_head.consensus.dimension = 1  # now the model cannot be built
    with pytest.raises(ValueError, match=r'model: .*dimension'):
        check_config(cfg)
