from pathlib import Path

import pytest
from mmengine.config import Config

from mmmae_st.config import check as config_check
from mmmae_st.config import check_config
from mmmae_st.config import models as config_models

SMOKE = Path(__file__).parents[2] / 'configs/smoke.py'


def check(**changes):
    cfg = Config.fromfile(SMOKE)
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in changes.items()})
    check_config(cfg)


def test_a_good_config_passes():
    check()


@pytest.mark.parametrize(
    'changes, message',
    [
        # keys
        (
            dict(model__backbone__drop_path=0.1),
            r'model\.backbone\.drop_path: SpacetimeViT has no such argument; did you mean '
            r"'drop_path_rate'\?",
        ),
        (dict(model__decoder__widht=3), r'model\.decoder\.widht: MAEDecoder has no such argument'),
        (
            dict(train_dataloader__dataset__pipeline__1__scales=(0.5, 1)),
            r"train_dataloader\.dataset\.pipeline\[1\]\.scales: .* did you mean 'scale'",
        ),
        (
            dict(train_dataloader__num_worker=1),
            r"train_dataloader\.num_worker: there is no such key; did you mean 'num_workers'",
        ),
        (
            dict(train_dataloader__sampler__shufle=True),
            r'train_dataloader\.sampler\.shufle: EpochSampler',
        ),
        (
            dict(optim_wrapper__optimizer__weight_decy=0.1),
            r"optim_wrapper\.optimizer\.weight_decy: .* did you mean 'weight_decay'",
        ),
        (
            dict(optim_wrapper__paramwise_cfg__norm_decay=0.0),
            r"optim_wrapper\.paramwise_cfg\.norm_decay: .* did you mean 'norm_decay_mult'",
        ),
        (dict(optim_wrapper__clip_grad__norm=1.0), r'optim_wrapper\.clip_grad\.norm: '),
        (dict(optim_wrapper__accumulate=2), r'optim_wrapper\.accumulate: OptimWrapper'),
        (dict(train_cfg__max_epoch=2), r"train_cfg\.max_epoch: .* did you mean 'max_epochs'"),
        (
            dict(param_scheduler__0__eta=0.1),
            r"param_scheduler\[0\]\.eta: CosineAnnealingLR .* did you mean 'eta_min'",
        ),
        (
            dict(default_hooks__checkpoint__intervall=2),
            r"default_hooks\.checkpoint\.intervall: .* did you mean 'interval'",
        ),
        (dict(randomness__sed=1), r"randomness\.sed: there is no such key; did you mean 'seed'"),
        (dict(env_cfg__cudnn=True), r'env_cfg\.cudnn: '),
        (dict(env_cfg__dist_cfg__bakend='x'), r"dist_cfg\.bakend: .* did you mean 'backend'"),
        (
            dict(default_hooks__checkpiont=dict(type='SafeCheckpointHook')),
            r"default_hooks\.checkpiont: did you mean 'checkpoint'",
        ),
        (dict(load_form='x.pth'), r"load_form: a Runner has no .* did you mean 'load_from'"),
        (dict(resum=True), r"resum: a Runner has no such part; did you mean 'resume'"),
        (
            dict(visualizer__vis_backends__0__typ='x'),
            r'visualizer\.vis_backends\[0\]\.typ: LocalVisBackend has no such argument',
        ),
        (
            dict(custom_hook=[]),
            r"custom_hook: a Runner has no such part; did you mean 'custom_hooks'",
        ),
        # names
        (
            dict(model__backbone__type='SpaceTimeViT'),
            r"model\.backbone\.type: no component .*'SpaceTimeViT'; did you mean 'SpacetimeViT'",
        ),
        (
            dict(default_hooks__logger__type='LogHook'),
            r"default_hooks\.logger\.type: no component is called 'LogHook'",
        ),
        (dict(val_evaluator__type='Loss'), r"val_evaluator\.type: no component is called 'Loss'"),
        # types
        (
            dict(model__backbone__drop_path_rate='0.1'),
            r"model\.backbone\.drop_path_rate: must be float, got '0\.1' \(str\)",
        ),
        (
            dict(model__backbone__img_size=[224]),
            r'model\.backbone\.img_size: must be int \| tuple\[int, int\], got \[224\]',
        ),
        (
            dict(train_dataloader__dataset__test_mode=1),
            r'train_dataloader\.dataset\.test_mode: must be bool, got 1',
        ),
        (
            dict(default_hooks__checkpoint__interval=True),
            r'default_hooks\.checkpoint\.interval: must be int, got True',
        ),
        # values
        (
            dict(model__backbone__drop_path_rate=1.5),
            r'model\.backbone: drop_path_rate must be in \[0, 1\), got 1\.5',
        ),
        (
            dict(train_dataloader__dataset__pipeline__3__ratio=1.0),
            r'train_dataloader\.dataset\.pipeline\[3\]: .*ratio',
        ),
        (dict(model__head__embed_dims=48), r'model: head\.embed_dims=48 must equal'),
        (dict(train_dataloader__num_workers='2'), r"num_workers: must be int, got '2' \(str\)"),
        (dict(train_dataloader__num_workers=-1), r'train_dataloader: num_workers option should'),
        (dict(train_dataloader__batch_size=0), r'train_dataloader: batch_size should be a posi'),
        (dict(optim_wrapper__optimizer__lr='1e-3'), r"optimizer\.lr: must be .*, got '1e-3'"),
        (dict(optim_wrapper__optimizer__lr=-1.0), r'optim_wrapper\.optimizer: .*learning rate: -1'),
        (dict(optim_wrapper__clip_grad__max_norm='1'), r'clip_grad\.max_norm: must be a positive'),
        (dict(optim_wrapper__accumulative_counts=0), r'optim_wrapper: .*accumulative_counts'),
        (dict(param_scheduler__0__end='2'), r"param_scheduler\[0\]\.end: must be int, got '2'"),
        (dict(param_scheduler__0__begin=5), r'param_scheduler\[0\]: .*end.*begin'),
        (dict(train_cfg__max_epochs=0), r'train_cfg\.max_epochs: must be an integer of at least 1'),
        (dict(randomness__seed=-1), r'randomness\.seed: must be an integer of at least 0, got -1'),
        (dict(log_level='LOUD'), r"log_level: must be one of .*, got 'LOUD'"),
        (dict(env_cfg__mp_cfg__mp_start_method='f'), r'mp_cfg\.mp_start_method: must be one of'),
        (dict(val_evaluator__collect_device='x'), r'val_evaluator\.collect_device: must be one of'),
        (dict(default_hooks__logger__interval=0), r'default_hooks\.logger\.interval: must be an'),
        (dict(default_hooks__checkpoint__on_error='x'), r'default_hooks\.checkpoint: on_error'),
        (dict(train_dataloader__dataset__seed=-1), r'train_dataloader\.dataset: seed must be'),
    ],
)
def test_the_path_of_the_key_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        check(**changes)


def test_all_errors_are_listed_at_once():
    with pytest.raises(ValueError, match=r'2 errors[^$]*model\.head\.x[^$]*randomness\.y'):
        check(model__head__x=1, randomness__y=2)


def test_a_comma_that_makes_a_tuple_is_named():
    cfg = Config.fromfile(SMOKE)
    cfg.val_dataloader = (cfg.val_dataloader,)
    with pytest.raises(ValueError, match='val_dataloader: must be a dict, got a tuple'):
        check_config(cfg)


def test_a_missing_argument_is_named():
    cfg = Config.fromfile(SMOKE)
    del cfg.model['decoder']
    with pytest.raises(ValueError, match=r'model\.decoder: SpatiotemporalMAE needs this argument'):
        check_config(cfg)


def test_checking_leaves_the_config_alone():
    cfg = Config.fromfile(SMOKE)
    before = cfg.to_dict()
    check_config(cfg)
    assert cfg.to_dict() == before


VIDEOS = dict(type='VideoDataset', data_root='videos')


@pytest.mark.parametrize(
    ('loader', 'message'),
    [
        (dict(sampler=dict(type='DefaultSampler')), "EpochSampler, got 'DefaultSampler'"),
        (
            dict(dataset=dict(type='ConcatDataset', datasets=[VIDEOS, VIDEOS], _delete_=True)),
            r'dataset\.datasets\[1\]\.type: VideoDataset cannot be inside another dataset',
        ),
        (
            dict(dataset=dict(type='RepeatDataset', dataset=VIDEOS, times=2, _delete_=True)),
            r'dataset\.dataset\.type: VideoDataset cannot be inside another dataset',
        ),
        (
            dict(
                dataset=dict(
                    type='mmengine.ConcatDataset',
                    _scope_='mmengine',
                    datasets=[dict(VIDEOS, _scope_='mmmae_st')],
                )
            ),
            r'dataset\.datasets\[0\]\.type: VideoDataset cannot be inside another dataset',
        ),
    ],
)
def test_every_epoch_has_views_and_masks_of_its_own(loader, message):
    cfg = Config.fromfile(SMOKE)
    for key, value in loader.items():
        cfg.train_dataloader[key] = {k: v for k, v in value.items() if k != '_delete_'}
    with pytest.raises(ValueError, match=message):
        check_config(cfg)


def mixture(**changes):
    cfg = Config.fromfile(SMOKE)
    source = dict(VIDEOS, pipeline=cfg.train_pipeline)
    given = dict(type='MixedVideoDataset', datasets=[source, source], weights=[1, 2])
    cfg.train_dataloader.dataset = given
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in changes.items()})
    return cfg


def test_a_mixture_passes():
    check_config(mixture())


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(sampler__type='DefaultSampler'), "EpochSampler, got 'DefaultSampler'"),
        (
            dict(dataset__weights=[1, -1]),
            r'train_dataloader\.dataset: weights\[1\] must be a number',
        ),
        (
            dict(dataset__datasets__1__frame_tmp='x'),
            r"dataset\.datasets\[1\]\.frame_tmp: .* did you mean 'frame_tmpl'",
        ),
        (
            dict(dataset__datasets__1__pipeline__0__clip_len=4),
            r'dataset\.datasets\[1\]\.pipeline: gives clips of 4 frames .* made for 8 of 32 x 32',
        ),
    ],
)
def test_what_is_wrong_in_a_mixture_is_named(changes, message):
    changes = {f'train_dataloader__{key}': value for key, value in changes.items()}
    with pytest.raises(ValueError, match=message):
        check_config(mixture(**changes))


def test_a_mixture_is_for_training():
    cfg = mixture()
    cfg.val_dataloader.dataset = cfg.train_dataloader.dataset
    with pytest.raises(ValueError, match=r'val_dataloader\.dataset\.type: .* is for training'):
        check_config(cfg)


@pytest.mark.parametrize(('epochs', 'warned'), [(2, False), (1, True), (5, True)])
def test_schedules_of_another_length_are_warned_of(monkeypatch, epochs, warned):
    said = []
    monkeypatch.setattr(config_check, 'print_log', lambda text, **_: said.append(text))
    check(train_cfg__max_epochs=epochs)
    assert bool(said) == warned
    assert all(f'max_epochs={epochs}' in text and 'end at epoch 2' in text for text in said)


@pytest.mark.parametrize('name', ['smoke', 'mae_st_vith_k400_fsdp', 'frozen/vitb_k400'])
def test_a_config_elsewhere_inherits_by_package(tmp_path, name):
    (tmp_path / 'config.py').write_text(f"_base_ = 'mmmae_st::{name}.py'\n")
    check_config(Config.fromfile(tmp_path / 'config.py'))


@pytest.mark.parametrize('name', ['finetune/vitl_ssv2', 'detection/mae_st_vitb_ava22'])
def test_a_config_elsewhere_inherits_what_needs_mmaction2(tmp_path, name):
    pytest.importorskip('mmdet' if 'detection' in name else 'mmaction')
    test_a_config_elsewhere_inherits_by_package(tmp_path, name)


def test_why_mmaction2_is_not_found(monkeypatch):
    def no_import(name):
        raise ImportError(f'{name} lacks a part')

    monkeypatch.setattr(config_check, 'import_module', no_import)
    cfg = Config(dict(default_scope='mmaction', model=dict(type='NoSuchRecognizer')))
    with pytest.raises(ValueError, match=r"lacks a part.*'mmmae_st.compat.mmaction'"):
        check_config(cfg)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            dict(model__backbone__img_size=16),
            r'pipeline: gives clips of 8 frames of 32 x 32 pixels, but model\.backbone is made for '
            r'8 of 16 x 16',
        ),
        (
            dict(val_dataloader__dataset__pipeline__0__clip_len=16),
            r'val_dataloader\.dataset\.pipeline: gives clips of 16 frames',
        ),
        (
            dict(train_dataloader__dataset__pipeline__3__patch_size=16),
            r'pipeline\[3\]\.patch_size: must be 8, as in model\.backbone, got 16',
        ),
    ],
)
def test_clips_of_another_size_are_refused_in_pretraining(changes, message):
    with pytest.raises(ValueError, match=message):
        check(**changes)


def test_clips_of_another_size_are_warned_of_in_fine_tuning(monkeypatch):
    pytest.importorskip('mmaction')
    said = []
    monkeypatch.setattr(config_models, 'print_log', lambda text, **_: said.append(text))
    cfg = Config.fromfile(SMOKE.parent / 'finetune/vitb_k400.py')
    check_config(cfg)
    assert not said
    cfg.model.backbone.img_size = 112
    check_config(cfg)
    assert 'clips of 16 frames of 224 x 224 pixels, but' in said[0]
